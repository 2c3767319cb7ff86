"""A fan through an engine that computes: numbers taken from the parent are those that a run of its own would bring."""

from itertools import count

import pytest

from icltui.api.collect import Collected
from icltui.api.engine import Listener
from icltui.api.messages import EngineStarted, JobEnded, LoadModel, Measure, ModelLoaded, Request
from icltui.engine.local import LocalEngine
from icltui.tui.state.explorer import Explorer
from icltui.values import Measurement, ModelInfo, Session
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

PROMPT = Prompt(context="The capital of France is Rome.\n", query="The capital of France is")


class EngineClient:
    """A client whose engine runs in this process, one job at each :meth:`work`."""

    def __init__(self, engine: LocalEngine, model: ModelInfo) -> None:
        self.engine, self.model = engine, model
        self.waiting, self._numbers = list[tuple[int, Request]](), count(1)

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        listener(0, EngineStarted(version="0"))

    def submit(self, request: Request) -> int:
        self.waiting.append((number := next(self._numbers), request))
        return number

    def work(self) -> None:
        """Run the jobs that wait, and those that they lead to."""
        while self.waiting:
            number, request = self.waiting.pop(0)
            known = [ModelLoaded(model=self.model)] if isinstance(request, LoadModel) else None
            for event in known or self.engine.run(request, lambda: False):
                self._listener(number, event)
            self._listener(number, JobEnded())

    def cancel(self, job: int) -> None:
        raise AssertionError(f"job {job} is given up")

    async def kill(self) -> None: ...

    async def close(self) -> None: ...


async def test_layers_one_by_one_and_strengths() -> None:
    loaded = tiny("llama")
    model = loaded.describe("packed")
    engine = LocalEngine(loaded=loaded, info=model)
    client = EngineClient(engine, model)
    explorer = Explorer(client, LoadModel(), Session(prompt=PROMPT, n_tokens=2, recipe=Recipe(mode="frozen")))
    await explorer.start()
    client.work()
    explorer.fan_out("layers 0 1")
    client.work()
    for run, layers in zip(explorer.history.runs[1:], ((0,), (1,)), strict=True):
        job = Collected(asked := Measure(prompt=PROMPT, layers=run.session.layers))
        for event in engine.run(asked, lambda: False):
            job.take(event)
        taken, measured = run.session.measurement, job.measurement
        assert isinstance(taken, Measurement)
        assert isinstance(measured, Measurement)
        assert taken.layers == measured.layers == layers
        assert taken.rows == measured.rows
        assert taken.predictions == measured.predictions
    explorer.fan_out("alpha 0 1")
    client.work()
    none, whole = (run.session.generation for run in explorer.history.runs[3:])
    assert none is not None
    assert whole is not None
    plain, patched = none.fit["plain"].kl, none.fit["patched"].kl
    assert plain is not None
    assert plain == pytest.approx(patched, rel=1e-5), "at strength 0 the patch is none"
    assert (whole.fit["patched"].kl or 0.0) < 1e-3 * plain, "at 1 it is exact after the query"
    assert [lane.token_ids for lane in (none.lanes["plain"],)] == [none.lanes["patched"].token_ids]
