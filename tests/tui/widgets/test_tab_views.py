"""Tabs that are made when they are first shown, and then show what there is."""

import msgspec

from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


def mounted(desk: Desk) -> set[str | None]:
    return {view.id for view in desk.screen.numbers.children}


async def test_a_tab_that_was_never_shown_knows_the_numbers_and_the_cursor(desk: Desk) -> None:
    numbers = desk.screen.numbers
    assert mounted(desk) == {"stream"}
    desk.screen.unit, desk.screen.shown_layer = 2, 1
    desk.screen.measure, desk.screen.is_log = "patch_norm", True
    await desk.drawn()
    assert mounted(desk) == {"stream"}, "what all views share mounts none of them"
    for key, view in (("6", numbers.heatmap), ("5", numbers.plots), ("0", numbers.strip)):
        await desk.press(key)
        await desk.until(lambda view=view: view.measured is numbers.stream.measured)
        assert (view.unit, view.shown_layer, view.is_log) == (2, 1, True)
        assert getattr(view, "measure", "patch_norm") == "patch_norm"
    assert mounted(desk) == {"stream", "heatmap", "plots", "text"}


async def test_a_proof_and_a_log_that_came_before_are_there() -> None:
    session = msgspec.structs.replace(samples.session(), verification=samples.VERIFICATION)
    async with open_desk(session) as desk:
        desk.explorer.engine_status.lines.append("said long before")
        await desk.press("7")
        await desk.until(lambda: "noise floor" in desk.text())
        await desk.press("8")
        await desk.until(lambda: "said long before" in desk.text())


async def test_keys_typed_ahead_go_to_a_tab_that_is_not_mounted_yet(desk: Desk) -> None:
    await desk.press("6", "h", "h")
    await desk.until(lambda: desk.screen.unit == samples.N_UNITS - 2)
    assert desk.screen.focused is desk.screen.numbers.heatmap
