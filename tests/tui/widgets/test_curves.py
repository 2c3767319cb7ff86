"""A patch is varied when asked, and its curves are kept: beside other runs, in the session, and when ΔW is off."""

from pathlib import Path

from msgspec.structs import replace as with_changes

from icltui.api.messages import Generate, PatchTested
from icltui.storage.sessions import read_session, write_session
from icltui.values import LANES
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


async def vary(desk: Desk) -> None:
    """Have the curves computed."""
    await desk.press("C")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.VARIED))
    await desk.drawn()


async def test_varying_turns_the_patch_on_and_takes_the_place_of_a_generation(desk: Desk) -> None:
    await desk.press("d", "C")
    desk.client.give_way()
    request = desk.client.request
    assert isinstance(request, Generate)
    assert request.curves
    assert desk.explorer.settings.is_delta_on
    assert desk.explorer.jobs.plan == []


async def test_the_engine_must_be_there() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        desk.client.die("gone")
        await desk.press("C")
        assert "ctrl+r restarts it" in desk.toasts()[-1]
        assert not desk.explorer.settings.is_delta_on


async def test_curves_outlive_a_generation_of_the_same_patch(desk: Desk) -> None:
    await vary(desk)
    await desk.press("ctrl+r")
    desk.client.finish(*samples.MEASURE)
    assert desk.client.request.curves is False
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    assert desk.explorer.results.patch.curves == samples.VARIED.curves


async def test_curves_stay_while_the_patch_is_off_and_come_back_with_it(desk: Desk) -> None:
    await vary(desk)
    await desk.press("d")
    desk.client.finish(*samples.generate(LANES[:2]))
    await desk.drawn()
    assert "against the strength α" in desk.text()
    await desk.press("d")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    assert desk.explorer.results.patch.curves == samples.VARIED.curves


async def test_curves_of_another_patch_say_so(desk: Desk) -> None:
    await vary(desk)
    assert "edited" not in desk.text()
    await desk.press("p")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    await desk.drawn()
    assert desk.explorer.results.patch.curves is None
    assert "edited, C varies it" in desk.text()


async def test_curves_are_saved_and_shown_again(desk: Desk, tmp_path: Path) -> None:
    await vary(desk)
    session = desk.explorer.session("varied")
    assert session.generation.patch.curves == samples.VARIED.curves
    write_session(tmp_path / "varied.json", session)
    async with open_desk(read_session(tmp_path / "varied.json"), tmp_path / "varied.json") as again:
        await again.press("5", "w", "w")
        await again.until(lambda: "against the strength α" in again.text())
        assert "edited" not in again.text()


async def test_queries_are_offered_where_there_are_some(desk: Desk) -> None:
    await vary(desk)
    curves = with_changes(samples.VARIED.curves, queries=samples.VARIED.curves.from_top)
    await desk.press("C")
    desk.client.finish(
        *samples.generate(LANES), PatchTested(patch=with_changes(samples.VARIED, curves=curves))
    )
    await desk.drawn()
    await desk.press("w", "w")
    assert desk.screen.numbers.plots.view == "queries"
    await desk.until(lambda: "against the number of queries" in desk.text())


async def test_the_curve_against_alpha_follows_the_strength_and_is_no_older_for_it(desk: Desk) -> None:
    await vary(desk)
    await desk.until(lambda: "α 1  ━ this query 0.010" in desk.text())
    await desk.press("9", "shift+left", "5")
    desk.client.finish(*samples.generate(LANES), PatchTested(patch=samples.PATCH))
    await desk.drawn()
    await desk.until(lambda: "α 0.5  ━ this query 2.51" in desk.text())
    assert "varies it" not in desk.text()
    await desk.press("w")
    await desk.until(lambda: "edited, C varies it" in desk.text())
