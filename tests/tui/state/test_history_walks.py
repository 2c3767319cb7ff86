"""Random walks over running, branching, pruning, undoing, fanning and stepping lose no run, no note and no prompt."""

from random import Random

import pytest

from icltui.api.messages import Generate, JobFailed, Measure
from icltui.storage.session_validation import check_consistent
from icltui.tui.state.run_tree import tree_lines
from icltui.values import LANES, Run
from tests.thinned import thinned
from tests.tui import samples
from tests.tui.state.test_explorer import Ear, idle

N_STEPS = 80
LINES = ("alpha 0 0.5 1", "mode", "layers each", "temperature 0 1", "unit line", "dynamics")


DEEDS = (
    *("answer",) * 16,
    *("edit", "edit", "run", "run", "fail", "step", "step", "go", "note", "star", "prune", "prune", "regrow"),
    *("fan", "fan", "fan", "stop", "alpha", "delta", "die", "mode"),
)


class Walk:
    """An explorer, and what must never be lost of it."""

    def __init__(self, ear: Ear, seed: int) -> None:
        self.ear, self.explorer, self.random = ear, ear.explorer, Random(seed)
        self.prompts: dict[int, str] = {}
        """The context of each run by its number, which is never another run's."""
        self.notes: dict[int, str] = {}
        self.stars: set[int] = set()
        self.left: set[str] = set()
        """Contexts that were typed when the user went elsewhere."""
        self.texts: dict[int, object] = {}
        """What the patch of each finished fan's run said."""

    @property
    def everywhere(self) -> dict[int, Run]:
        """Each run, in the tree or cut off."""
        history = self.explorer.history
        runs = [run for branch in (history.runs, *history.pruned) for run in branch]
        assert len({run.number for run in runs}) == len(runs), "a number is given once"
        return {run.number: run for run in runs}

    def number(self) -> int | None:
        """Any run of the tree."""
        runs = self.explorer.history.runs
        return self.random.choice(runs).number if runs else None

    async def step(self, at: int) -> str:
        """Do something."""
        explorer, number = self.explorer, self.number()
        does = self.random.choice(DEEDS)
        before = explorer.settings.prompt.context
        match does:
            case "edit":
                explorer.edit(f"typed {at}", samples.QUERY)
            case "run":
                await explorer.run()
            case "answer":
                self.answer()
            case "fail":
                self.answer(is_failing=True)
            case "step":
                explorer.step_run(self.random.choice((-1, 1)))
            case "go" if number:
                explorer.go_to_run(number)
            case "note" if number:
                self.notes[number] = f"note {at}"
                explorer.annotate(number, f"note {at}")
            case "star" if number:
                self.stars ^= {number}
                explorer.star(number)
            case "prune" if number:
                explorer.prune(number)
            case "regrow":
                explorer.regrow()
            case "fan":
                explorer.fan_out(self.random.choice(LINES))
            case "stop" if explorer.jobs.is_running:
                await explorer.stop()
            case "alpha":
                explorer.change_alpha(self.random.choice((-0.5, 0.5)))
            case "delta":
                explorer.switch_delta()
            case "mode":
                explorer.next_choice("mode")
            case "die":
                self.ear.client.die("killed")
                await explorer.run()
                self.answer()
        if does != "edit" and explorer.settings.prompt.context != before:
            self.left.add(before)
        return does

    def answer(self, is_failing: bool = False) -> None:
        """The present job ends: as it was asked, or, given up, as one that gave way."""
        client, jobs = self.ear.client, self.explorer.jobs
        if client.job in client.cancelled:
            client.give_way()
            return
        match jobs.request:
            case None:
                return
            case _ if is_failing:
                client.send(client.job, JobFailed(kind="error", message="no memory"))
            case Measure():
                client.finish(*samples.MEASURE)
            case Generate() as request:
                client.finish(*samples.generate(request.lanes))
            case _:
                client.finish(samples.LOADED)

    def check(self, told: str) -> None:
        """Nothing is lost."""
        history, everywhere = self.explorer.history, self.everywhere
        assert self.prompts.keys() <= everywhere.keys(), told
        for number, run in everywhere.items():
            assert (
                self.prompts.setdefault(number, run.session.prompt.context) == run.session.prompt.context
            ), told
            assert run.note == self.notes.get(number, ""), told
            assert run.starred == (number in self.stars), told
        typed = {run.session.prompt.context for run in everywhere.values()} | {
            self.explorer.settings.prompt.context
        }
        assert self.left <= typed, (told, self.left - typed)
        assert sorted(line.run.number for line in tree_lines(history.runs)) == [
            run.number for run in history.runs
        ]
        assert history.at in {None, *(run.number for run in history.runs)}, told
        if fan := self.explorer.fan:
            for point in fan.points:
                if point.number:
                    said = everywhere[point.number].session.generation
                    assert said is not None, told
                    assert said.lanes.keys() == {*LANES}, told
        check_consistent(self.explorer.session("walk"))


@pytest.mark.parametrize("seed", thinned(range(40), 8))
async def test_a_walk_loses_nothing(seed: int) -> None:
    walk = Walk(await idle(), seed)
    done: list[str] = []
    for at in range(N_STEPS):
        done.append(await walk.step(at))
        walk.check(f"seed {seed}: {' '.join(done)}")


async def test_what_was_cut_off_comes_back_as_it_was() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5")
    for _ in range(2):
        Walk(ear, 0).answer()
    ear.explorer.annotate(3, "keep")
    before = ear.explorer.history.runs
    assert ear.explorer.prune(3)
    assert ear.explorer.prune(2)
    assert [run.number for run in ear.explorer.history.runs] == [1]
    assert not ear.explorer.prune(1), "one run is left"
    ear.explorer.regrow()
    ear.explorer.regrow()
    assert ear.explorer.history.runs == before
    ear.explorer.regrow()
    assert ear.lines[-1] == "no run was cut off"


async def test_the_present_run_that_is_cut_off_gives_way_to_its_parent_and_what_was_typed_stays() -> None:
    ear = await idle()
    ear.explorer.fan_out("alpha 0 0.5")
    for _ in range(2):
        Walk(ear, 0).answer()
    ear.explorer.go_to_run(2)
    ear.explorer.edit("typed on it", samples.QUERY)
    assert ear.explorer.prune(2)
    assert ear.explorer.history.at == 1
    assert ear.explorer.settings.prompt == samples.PROMPT
    draft = ear.explorer.history.runs[-1]
    assert (draft.number, draft.parent, draft.session.prompt.context) == (4, 1, "typed on it")
