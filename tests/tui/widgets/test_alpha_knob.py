"""The strength on one line: where it is, what is known of KL there, and a press that is answered from what was kept."""

import pytest
from rich.style import Style

from icltui.api.messages import StrengthGenerated
from icltui.tui.draw.alpha_line import AlphaLine
from icltui.tui.draw.colormap import Ramp
from tests.tui import samples
from tests.tui.conftest import open_desk
from tests.tui.state.test_looking_ahead import at


def line(alpha: float | None, kl: dict[float, float], width: int = 60) -> AlphaLine:
    plain = Style()
    return AlphaLine(alpha, kl, width, Ramp((plain,), (plain,), needs_glyphs=False), plain, plain)


def text_of(one: AlphaLine) -> str:
    return "".join(segment.text for segment in one.segments())


def test_bars_are_kl_on_a_log_scale_and_what_is_unknown_is_a_dot() -> None:
    one = line(1.0, {0.0: 10.0, 0.5: 1.0, 1.0: 1e-9, 1.1: 0.01})
    assert text_of(one) == "α 0 █····▇····▁▄········· 2  1  KL 1.0e-09  least at 1"
    (marked,) = [segment.text for segment in one.segments() if segment.style and segment.style.reverse]
    assert marked == "▁"
    assert text_of(line(None, {})).endswith("searched for")


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (90, "0.45  KL 4.7e-05  least 4.7e-05 at 0.45"),
        (78, "0.45  KL 5e-05  least at 0.45"),
        (36, "0.45  KL 4.7e-05"),
        (60, "0.45  KL 4.7e-05  least at 0.45"),
    ],
)
def test_words_without_room_are_left_out_whole(width: int, words: str) -> None:
    shown = text_of(line(0.45, {0.0: 4.28, 0.45: 4.71e-5, 1.0: 0.1}, width))
    assert shown.endswith(f" 2  {words}")
    assert len(shown) <= width


@pytest.mark.parametrize(("width", "n_cells"), [(200, 41), (80, 41), (40, 11), (10, 11)])
def test_the_scale_takes_the_room_that_the_words_leave(width: int, n_cells: int) -> None:
    one = line(0.5, {}, width)
    assert one.n_cells == n_cells
    ends = one.begin, one.begin + n_cells - 1
    assert [one.alpha_at(column) for column in (ends[0] - 1, *ends, ends[1] + 1)] == [None, 0.0, 2.0, None]


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 18)])
async def test_a_press_shows_the_text_that_was_kept_in_one_drawing(size: tuple[int, int]) -> None:
    async with open_desk(samples.session(), size=size) as desk:
        await desk.settle()
        desk.explorer.looks_ahead = True
        await desk.press("9", "d")
        desk.client.finish(*samples.generate(("context", "plain", "patched")))
        desk.client.send(desk.client.job, StrengthGenerated(generation=at(1.05)))
        n = len(desk.client.requests)
        await desk.press("right")
        await desk.drawn()
        assert len(desk.client.requests) == n
        knob = next(row for row in desk.text().splitlines() if "α 0 " in row)
        assert "1.05" in knob
        assert "KL 0.050" in knob
