"""What a compilation has tried, in words."""

from msgspec.structs import replace

from icltui.report.compilation import compile_text
from icltui.tui.draw.choice_points import choice_lines, names_of, place_of
from icltui.tui.draw.plots import choice_figure
from tests.compilations import CHOICE_POINT, COMPILATION
from tests.tui import samples
from tests.tui.draw.test_plot_drawing import drawn

START = replace(CHOICE_POINT, step="start", rank=8)
RANKS = tuple(replace(CHOICE_POINT, step="rank", rank=rank, chosen=False) for rank in (4, 32, None))


def test_a_rank_is_told_by_its_number() -> None:
    assert names_of(RANKS) == ["rank 4", "rank 32", "any rank"]
    assert "ρ 0.01, rank 8, layers" in place_of(START)


def test_a_step_is_named_once_in_its_line() -> None:
    assert list(choice_lines((START, *RANKS), 80)) == [
        "start: ▸R 0.910",
        "rank: 4 R 0.910 · 32 R 0.910 · any rank R 0.910",
    ]


def test_the_table_of_a_report_tells_ranks_apart() -> None:
    found = replace(COMPILATION.leave_one_out, curve=(START, *RANKS))
    text = compile_text(samples.MODEL, replace(COMPILATION, leave_one_out=found))
    tried = [line.split() for line in text.splitlines() if line.startswith(("rank ", "* start"))]
    assert [line[-8] for line in tried] == ["8", "4", "32", "·"]


def test_what_shows_the_choice_is_told_whole_on_a_narrow_screen() -> None:
    assert "W makes one patch of the context." in drawn(choice_figure((), False, 56), None, 56, 10)[1]
