"""The keys at the bottom: what is possible now, on one line, by mouse too."""

from icltui.tui.widgets.footer import KeyFooter
from tests.tui.conftest import open_desk


def line(desk) -> str:
    return desk.text().splitlines()[-1].rstrip()


async def test_it_says_what_is_possible_and_the_palette_at_the_end():
    async with open_desk() as desk:
        await desk.drawn()
        assert line(desk).startswith("^r Run  ^t ΔW  v Verify")
        assert line(desk).endswith("^p palette")
        await desk.press("2")
        await desk.until(lambda: line(desk).startswith("i Write"))
        assert "v Verify" in line(desk)
        await desk.press("i")
        await desk.until(lambda: line(desk).startswith("esc Done"))
        assert "v Verify" not in line(desk)


async def test_where_it_is_narrow_save_and_open_give_way():
    async with open_desk(size=(62, 24)) as desk:
        await desk.drawn()
        assert "Save" not in line(desk)
        assert "^q Quit" in line(desk)


async def test_a_click_presses_the_key_and_the_pointer_tells_what_it_does():
    async with open_desk() as desk:
        await desk.drawn()
        at = line(desk).index("? Help")
        await desk.pilot.hover(KeyFooter, offset=(at, 0))
        assert "every key" in str(desk.app.screen.query_one(KeyFooter).tooltip)
        await desk.pilot.click(KeyFooter, offset=(at, 0))
        await desk.until(lambda: len(desk.app.screen_stack) == 2)


async def test_the_gap_between_keys_does_nothing():
    async with open_desk() as desk:
        await desk.drawn()
        await desk.pilot.click(KeyFooter, offset=(line(desk).index("? Help") - 1, 0))
        await desk.drawn()
        assert len(desk.app.screen_stack) == 1


async def test_a_digit_typed_before_anything_is_there_does_no_harm():
    async with open_desk() as desk:
        desk.screen._is_mounted = False
        desk.screen.view.action_show_pane("heatmap")
        assert desk.screen.numbers.current == "stream"
        desk.screen._is_mounted = True
