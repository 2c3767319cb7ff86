"""The help: the focused pane first, in plain words, with its formula; then every key."""

import pytest

from icltui.report.measures import MEASURES
from icltui.tui.actions import ACTIONS
from icltui.tui.dialogs.help import HelpDialog, pane_blocks
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.draw.pane_help import MEASURED, PANE_HELP, action_rows, pane_title
from icltui.tui.state.pane_names import PANES
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk


def test_every_pane_is_explained() -> None:
    assert set(PANES) <= set(PANE_HELP)
    known = {action.id for action in ACTIONS}
    for pane, text in PANE_HELP.items():
        assert text.what.endswith(".")
        assert text.reading.endswith(".")
        assert pane not in PANES or set(text.actions) <= known, pane
        assert all(keys for keys, _help in action_rows(text.actions))


@pytest.mark.parametrize("dynamics", ["grow", "shrink", "drop"])
@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_is_explained_in_the_panes_that_show_it(measure: str, dynamics: str) -> None:
    for pane in MEASURED:
        assert pane_blocks(pane, dynamics, measure)  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "digit"), [((120, 40), 3), ((80, 24), 1), ((80, 24), 9)])
async def test_the_focused_pane_comes_first(size: tuple[int, int], digit: int) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        await desk.press(str(digit), "f1")
        await desk.until(lambda: isinstance(desk.app.screen, HelpDialog))
        await desk.until(lambda: pane_title(PANES[digit - 1]) in "".join(desk.text().splitlines()[:6]))
        assert "How to read it" in desk.text()


async def test_it_scrolls_to_the_last_key(desk: Desk) -> None:
    await desk.press("question_mark")
    await desk.until(lambda: "4 Stream" in desk.text())
    for key, words in (("G", "entropy"), ("g", "How to read it"), ("ctrl+d", "everything")):
        await desk.press(key)
        await desk.until(lambda words=words: words in desk.text())


async def test_the_formula_is_that_of_the_measure_shown(desk: Desk) -> None:
    await desk.press("5", "m", "question_mark")
    await desk.until(lambda: "‖ΔW‖ = ‖W_0 δ_i‖ / ‖A_0‖" in desk.text())


async def test_f1_in_a_dialog_does_no_harm(desk: Desk) -> None:
    await desk.press("ctrl+l")
    await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
    await desk.press("f1", "question_mark")
    assert isinstance(desk.app.screen, OpenSessionDialog)
