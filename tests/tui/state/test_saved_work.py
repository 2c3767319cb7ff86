"""What is unsaved is what the user would lose: choices, runs and notes, and no numbers that only come again."""

from msgspec.structs import replace

from icltui.values import LANES, Run
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


async def run(desk: Desk) -> None:
    n_jobs = desk.client.job
    await desk.press("ctrl+r")
    await desk.until(lambda: desk.client.job > n_jobs)
    await desk.settle()


async def test_an_edit_taken_back_is_none(desk: Desk) -> None:
    await desk.press("1", "i", "x")
    await desk.until(lambda: desk.explorer.is_unsaved)
    await desk.until(lambda: "capital-conflict*" in desk.text())
    await desk.press("ctrl+z")
    await desk.until(lambda: not desk.explorer.is_unsaved)
    await desk.until(lambda: "capital-conflict*" not in desk.text())


async def test_the_same_run_again_is_no_work_and_one_with_other_choices_is(desk: Desk) -> None:
    await run(desk)
    assert not desk.explorer.is_unsaved
    await desk.press("D")
    assert desk.explorer.is_unsaved
    for _ in range(4):
        if desk.explorer.settings.dynamics != "grow":
            await desk.press("D")
    assert not desk.explorer.is_unsaved
    await desk.press("p")
    await run(desk)
    await desk.press("p", "p")
    assert desk.explorer.settings.recipe.mode == "per-step"
    assert desk.explorer.is_unsaved, "the run of the other choice is in no file"


async def test_a_result_of_a_new_kind_is_work(desk: Desk) -> None:
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    assert desk.explorer.is_unsaved


async def test_stepping_between_saved_runs_is_no_work_and_a_note_is() -> None:
    one = samples.session()
    two = replace(one, prompt=replace(one.prompt, query="And Spain is"))
    both = replace(one, runs=(Run(number=1, session=two), Run(number=2, parent=1, session=one)), run=2)
    async with open_desk(both) as desk:
        await desk.settle()
        desk.explorer.step_run(-1)
        assert desk.explorer.settings.prompt == two.prompt
        assert not desk.explorer.is_unsaved
        desk.explorer.annotate(1, "look")
        assert desk.explorer.is_unsaved
        desk.explorer.annotate(1, "")
        assert not desk.explorer.is_unsaved
