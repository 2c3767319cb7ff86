"""A server on a thread of its own, and the requests that schemathesis draws from what the server says of itself."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import schemathesis
from schemathesis.engine import events, from_schema

from tests.serve.http.served import served
from tests.waiting import PATIENCE

TOKEN = "correct-horse"
App = Callable[[], AbstractAsyncContextManager[Any]]
"""Makes an application and ends it."""


@contextlib.contextmanager
def on_a_thread(make_app: App) -> Iterator[int]:
    """The port on which an application is served."""
    found: list[int] = []
    is_up, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with make_app() as app, served(app) as port:
            found.append(port)
            is_up.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="fuzzed server")
    thread.start()
    try:
        assert is_up.wait(PATIENCE)
        yield found[0]
    finally:
        stop.set()
        thread.join()


class Fuzzed:
    """What came of many requests."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """Requests by operation and status."""
        self.checks: Counter[str] = Counter()
        """Checks that were made, by name."""
        self.faults: list[str] = []
        """What a check found, with the request that shows it."""

    @property
    def answered(self) -> set[str]:
        """The operations that gave an answer."""
        return {label for label, status in self.requests if status == 200}

    @property
    def statuses(self) -> dict[int, int]:
        """How many answers had each status."""
        found: Counter[int] = Counter()
        for (_, status), n in self.requests.items():
            found[status] += n
        return dict(sorted(found.items()))

    def take(self, event: events.EngineEvent) -> None:
        """Count what one event tells."""
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.faults.append(str(event.__dict__))
        if not isinstance(event, events.ScenarioFinished):
            return
        for case, interaction in event.recorder.interactions.items():
            status = interaction.response.status_code if interaction.response is not None else 0
            self.requests[event.recorder.label, status] += 1
            for check in event.recorder.checks.get(case, ()):
                self.checks[check.name] += 1
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    self.faults.append(
                        f"{failure.title}: {failure.message}\\n{check.failure_info.code_sample}"
                    )


def fuzz(port: int, n_examples: int, has_bounds: bool = True, seed: int | None = None) -> Fuzzed:
    """So many requests to each operation, besides those that try each bound; with no ``seed`` always the same."""
    generation = {"max-examples": n_examples, "database": "none", "deterministic": seed is None}
    config = {
        "base-url": f"http://127.0.0.1:{port}",
        "headers": {"Authorization": f"Bearer {TOKEN}"},
        "seed": seed or 0,
        "generation": generation,
        "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": has_bounds}},
        # A value of the right type may still be another model's layer, or go with none of the others.
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ["2xx", "413", "422", "503", "504"]},
            "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503", "504"]},
        },
    }
    schema = schemathesis.openapi.from_url(
        f"http://127.0.0.1:{port}/openapi.json",
        headers={"Authorization": f"Bearer {TOKEN}"},
        config=schemathesis.Config.from_dict(config),
    )
    fuzzed = Fuzzed()
    for event in from_schema(schema).execute():
        fuzzed.take(event)
    return fuzzed
