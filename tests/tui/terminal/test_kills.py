"""The engine's process is killed at random moments: the screen lives, nothing whole is lost, one key goes on.

The whole explorer over real ``icltui engine`` processes and the embedded model. The moments are random; in which phase
each fell is counted. ``--kills 100`` kills more often.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

import icltui
from icltui.api.messages import Generate, LoadModel, Measure
from icltui.tui.app import IcltuiApp
from icltui.tui.state.results import Results
from icltui.tui.state.staleness import lane_note, numbers_note
from icltui.values import Lane, LaneStep, Measurement, Session
from icltui.values.prompt import Prompt
from icltui.worker.client import RemoteEngine
from tests.tui.conftest import Desk
from tests.waiting import until

PROMPT = Prompt(
    context="The capital of France is Rome.\nThe capital of Spain is Cairo.\nThe capital of Egypt is Oslo.\n"
    * 8,
    query="The capital of France is",
)
SESSION = Session(title="kills", created="2026-01-01T00:00:00+00:00", prompt=PROMPT, n_tokens=32)
PHASES: dict[str, type | None] = {"load": LoadModel, "measure": Measure, "generate": Generate}
WHOLE = ("measurement", "generation")
"""What a kill must not take away."""


class Reference:
    """What a run that nobody disturbs comes to, and how long each of its phases takes."""

    def __init__(self, seconds: dict[str, float], results: Results) -> None:
        assert results.measurement is not None
        self.measurement, self.lanes, self.seconds = results.measurement, results.texts.steps, seconds
        self.rows = {(row.unit, row.layer): row for row in results.measurement.rows}

    def check_whole(self, measurement: Measurement | None) -> None:
        """What is held as complete is equal to the last digit."""
        assert measurement is not None
        assert msgspec.structs.replace(measurement, seconds=0) == msgspec.structs.replace(
            self.measurement, seconds=0
        )

    def check_shown(self, results: Results) -> None:
        """Every number and token on the screen is one of the undisturbed run's."""
        measured = results.measured
        for unit in measured.units:
            for layer in measured.layers:
                assert measured.value("delta_norm", unit, layer) == self.rows[unit, layer].delta_norm
        for lane, steps in results.texts.steps.items():
            assert steps == self.lanes[lane][: len(steps)]


class Victim:
    """The explorer and the process that is to die."""

    def __init__(self, desk: Desk, client: RemoteEngine) -> None:
        self.desk, self.client = desk, client

    @property
    def results(self) -> Results:
        return self.desk.explorer.results

    @property
    def phase(self) -> str:
        """What the engine does now, as the user knows it."""
        jobs = self.desk.explorer.jobs
        if jobs.engine == "starting":
            return "load"
        return next(
            (name for name, kind in PHASES.items() if kind and isinstance(jobs.request, kind)), "idle"
        )

    async def until(self, is_so: Callable[[], object]) -> None:
        """As the desk's, but that it may be looked for more often than a screen is drawn."""

        def is_so_or_over() -> object:
            assert not self.desk.app._exit, "the explorer ended"
            return is_so()

        lines = self.desk.explorer.engine_status.lines
        await until(is_so_or_over, what=lambda: f"never came true; the log: {lines[-8:]}")

    async def run_to_the_end(self) -> dict[str, float]:
        """Wait until nothing is asked any more; the seconds that each phase took."""
        seconds = {}
        for name in PHASES:
            await self.until(lambda name=name: self.phase == name)
            began = monotonic()
            await self.until(lambda name=name: self.phase != name)
            seconds[name] = monotonic() - began
        await self.until(lambda: self.phase == "idle")
        return seconds

    def forget(self) -> None:
        """The prompt without any numbers, as when it was just opened."""
        self.desk.explorer.open(SESSION, None)

    @property
    def is_dead(self) -> bool:
        """Whether there is no engine."""
        return self.desk.explorer.jobs.engine == "dead"

    async def restart(self) -> None:
        """The one key: where the engine lives, another run."""
        await self.desk.press("ctrl+r")
        await self.until(lambda: not self.is_dead)

    async def kill(self, phase: str, after: float = 0) -> tuple[str, dict[str, Any]]:
        """SIGKILL so many seconds into a phase, or behind a run that was over before one could look.

        In which phase it fell, and what was whole then.
        """
        await self.until(lambda: self.phase in (phase, "idle") and self.client.pid)
        await asyncio.sleep(after)
        fell, whole = self.phase, {name: getattr(self.results, name) for name in WHOLE}
        assert self.client.pid is not None
        os.kill(self.client.pid, signal.SIGKILL)
        await self.until(lambda: self.is_dead)
        return fell, whole

    async def check_alive(self, before: dict[str, Any], reference: Reference) -> None:
        """The screen says what happened, keys work, the prompt stands, and every number is whole or marked."""
        desk, results = self.desk, self.results
        await desk.drawn()
        assert "press ctrl+r to restart" in " ".join(desk.text().split())
        await desk.press("8", "4")
        assert (desk.explorer.settings.prompt, desk.screen.context.text) == (PROMPT, PROMPT.context)
        assert desk.screen.question.text == PROMPT.query
        for name, value in before.items():
            now = getattr(results, name)
            if name == "measurement" and now is not None:
                reference.check_whole(now)
            assert now is not None or value is None, f"a whole {name} was lost"
        reference.check_shown(results)
        self.check_marks(results, reference)

    def check_marks(self, results: Results, reference: Reference) -> None:
        """A part of a run is told from a whole one, also to the eye."""
        settings = self.desk.explorer.settings
        is_whole = len(results.measured.units) == len(reference.measurement.tokens.units) + 1
        if results.measured_origin is not None and not (
            is_whole and results.measured_origin is results.measurement_origin
        ):
            assert "stopped at" in numbers_note(results, settings)
            assert "stopped at" in self.desk.text()
        for lane in results.texts.steps:
            if results.texts.origins[lane] is not results.generation_origin:
                assert "stopped at" in lane_note(results, settings, lane)


@pytest.fixture
async def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Victim]:
    """The explorer, its first run on its way."""
    monkeypatch.setenv("PYTHONPATH", str(Path(icltui.__file__).parents[1]))
    client = RemoteEngine([sys.executable, "-m", "icltui", "engine"], tmp_path / "engine.log")
    app = IcltuiApp(client, LoadModel(device="cpu"), SESSION)
    async with app.run_test(size=(120, 40)) as pilot:
        yield Victim(Desk(client, app, pilot), client)  # type: ignore[arg-type]


def finished(victim: Victim, reference: Reference) -> None:
    """A run that ended after all equals the undisturbed one."""
    reference.check_whole(victim.results.measurement)
    lanes: dict[Lane, tuple[LaneStep, ...]] = victim.results.texts.steps
    assert lanes == reference.lanes
    assert not victim.results.is_cut
    assert not victim.desk.explorer.engine_status.death


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_a_kill_at_any_moment_takes_nothing_away(
    victim: Victim, pytestconfig: pytest.Config, count: Callable[[str], None]
) -> None:
    n_kills, chance = pytestconfig.getoption("kills"), random.Random(5)
    reference = Reference(await victim.run_to_the_end(), victim.results)
    fell: Counter[str] = Counter()
    n_ended = 0
    for n in range(n_kills):
        if chance.random() < 0.5:
            victim.forget()
        phases = [name for name in PHASES if victim.is_dead or name != "load"]
        await victim.restart()
        phase = min(phases, key=lambda phase: fell[phase])
        at, was_whole = await victim.kill(phase, chance.uniform(0, reference.seconds[phase]))
        await victim.check_alive(was_whole, reference)
        fell[at] += 1
        if n % 10 == 9 or n == n_kills - 1:
            await victim.restart()
            await victim.run_to_the_end()
            finished(victim, reference)
            n_ended += 1
    where = ", ".join(f"{number} in {phase}" for phase, number in fell.items())
    count(f"{n_kills} kills: {where}; {n_ended} runs behind them ended equal")
