"""The plot draws any numbers at any size: round ticks, names at the lines' ends, no line lost, the cursor over it."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.geometry import Offset

from icltui.tui.draw.axis_ticks import linear_ticks, log_ticks, tick_text, unit_ticks
from icltui.tui.draw.line_labels import LineEnd, line_labels
from icltui.tui.draw.plot_area import PlotInk, thinned
from icltui.tui.draw.plot_drawing import FLAG, PlotDrawing, plot_lines
from icltui.tui.draw.plot_figure import CROSS, Figure, Kind, Scale, Series
from icltui.tui.draw.small_multiples import MultiplesDrawing

MUTED, FOCUS = Style(dim=True), Style(bold=True)
INK = PlotInk(
    Style(), MUTED, Style(italic=True), FOCUS, lambda f: Style(color=f"rgb(0,0,{round(f * 255)})"), False
)
PLAIN = replace(INK, glyphs=True, depth=lambda _: MUTED)
Numbers = list[float | None]


def figure(*lines: tuple[str, Numbers], kind: Kind = "line", **options: Any) -> Figure:
    """Lines of these names and numbers."""
    return Figure(y_title="T", series=[Series(name, values, kind) for name, values in lines], **options)


def drawn(
    of: Figure, cursor: int | None = None, width: int = 60, height: int = 16, ink: PlotInk = INK
) -> list[str]:
    """The lines as text."""
    return [strip.text for strip in plot_lines(of, width, height, ink, cursor)]


def ticks_of(lines: list[str]) -> list[str]:
    """The texts at the y axis, from the top."""
    return [line.split("┤")[0].strip() for line in lines if "┤" in line]


def test_a_line_with_its_axes_and_readout() -> None:
    lines = drawn(figure(("L0", [float(unit) for unit in range(11)])), 1)
    assert {cell_len(line) for line in lines} == {60}
    assert lines[0].strip() == "T"
    assert lines[1].strip() == "━ L0 1.000"
    assert ticks_of(lines) == ["10", "5", "0"]
    assert lines[-1].split() == ["unit", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    column = lines[-1].index(" 1 ") + 1
    assert sum(line[column] == "●" for line in lines) == 1
    assert sum(line[column] == "│" for line in lines) > 6
    assert lines[2].rstrip().endswith("L0"), "the name is at the line's end"


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 9.3, ["0", "2", "4", "6", "8"]),
        (-0.7, 0.7, ["−0.5", "0", "0.5"]),
        (0.0181, 7.45, ["2", "4", "6"]),
        (1e-9, 9e-9, ["2e-9", "4e-9", "6e-9", "8e-9"]),
        (20_000.0, 90_000.0, ["20000", "40000", "60000", "80000"]),
    ],
)
def test_ticks_are_round(low: float, high: float, texts: list[str]) -> None:
    assert [tick_text(tick) for tick in linear_ticks(low, high, 5)] == texts


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.4, 12.0, ["0.5", "1", "2", "5", "10"]),
        (0.0181, 7.45, ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]),
        (1e-8, 1.0, ["1e-8", "1e-6", "0.0001", "0.01", "1"]),
        (0.61, 0.69, ["0.62", "0.64", "0.66", "0.68"]),
    ],
)
def test_a_log_scale_has_one_two_and_five_of_each_decade_or_decades(
    low: float, high: float, texts: list[str]
) -> None:
    assert [tick_text(tick) for tick in log_ticks(low, high, 8 if high < 8 else 5)] == texts


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False), st.integers(1, 12))
@example(-9.99999999e307, 0.0, 1)
def test_ticks_are_few_and_inside_for_any_numbers(low: float, more: float, n: int) -> None:
    high = max(low, more if math.isfinite(more) else low)
    for ticks in (linear_ticks(low, high, n), log_ticks(low, high, n) if low > 0 else []):
        assert len(ticks) <= max(n, 1)
        slack = 1e-6 * max(high - low, abs(low), abs(high)) if math.isfinite(high - low) else math.inf
        assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len(unit_ticks(n, 3)) <= 3


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [None], [None, math.nan, math.inf]])
def test_nothing_to_draw_is_said(values: Numbers, log: bool) -> None:
    assert "No numbers to draw yet." in drawn(figure(("L0", values), log=log))[1]


def test_zeros_are_left_out_of_a_log_scale() -> None:
    assert "No numbers to draw yet." in drawn(figure(("L0", [0.0, 0.0]), log=True))[1]
    lines = drawn(figure(("L0", [0.0, 1.0, None, -1.0, 20.0]), log=True))
    assert lines[0].startswith("T, log scale")
    assert ticks_of(lines) == ["20", "10", "5", "2", "1"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.one_of(st.none(), st.floats()), max_size=40),
    st.integers(0, 90),
    st.integers(0, 30),
    st.booleans(),
    st.sampled_from(["line", "points", "bars", "dots"]),
    st.sampled_from([INK, PLAIN]),
)
def test_any_numbers_fill_any_size(
    values: Numbers, width: int, height: int, log: bool, kind: Kind, ink: PlotInk
) -> None:
    series = [Series("L0", values, kind), Series("L1", values[::-1], layer=1)]
    two = Figure(
        y_title="‖δ‖", series=series, log=log, flags=[0, 3], x_texts=["a", "漢字"], below=lambda _: ["x"] * 3
    )
    strips = plot_lines(two, width, height, ink, 3)
    assert [strip.cell_length for strip in strips] == [width] * height
    panels = MultiplesDrawing([two, two], 1, (width, height), ink, is_common=log)
    assert all(panels.line(y, 3).cell_length == width for y in range(height))


def test_no_line_vanishes_where_lines_cross() -> None:
    up = [float(unit) for unit in range(20)]
    none: Numbers = [None] * 20
    pairs = ((up, none), (none, up[::-1]), (up, up[::-1]))
    one, other, both = (drawn(figure(("L3", a), ("L7", b)))[2:-2] for a, b in pairs)
    for rows in zip(one, other, both, strict=True):
        for a, b, ab in zip(*(row[7:53] for row in rows), strict=True):
            dots = [ord(cell) - 0x2800 if "⠀" < cell <= "⣿" else 0 for cell in (a, b, ab)]
            assert dots[2] == dots[0] | dots[1]


def test_the_line_in_focus_is_drawn_last_and_bright() -> None:
    flat: Numbers = [1.0, 1.0, 1.0]
    for focus in (0, 1):
        strips = plot_lines(figure(("L3", flat), ("L7", flat), focus=focus), 60, 16, INK)
        owners = {s.style for strip in strips for s in strip if s.text.strip() and set(s.text) <= set("⠈⠉⠁")}
        assert owners == {FOCUS}
        assert strips[1].text.strip().startswith(f"━ L{(3, 7)[focus]}")


def test_without_colours_the_line_in_focus_has_another_character() -> None:
    text = "".join(drawn(figure(("L3", [1.0, 2.0]), ("L7", [2.0, 1.0]), focus=1), 0, ink=PLAIN)[2:-2])
    assert {"o", "·", "@"} <= set(text)
    assert not any("⠀" < cell <= "⣿" for cell in text)


def test_names_are_at_the_ends_of_their_lines_and_whole() -> None:
    many = [(f"L{layer}", [0.0, float(layer)]) for layer in range(28)]
    for height in (60, 20, 12):
        lines = drawn(figure(*many, focus=11), 1, width=90, height=height)
        named = {word for line in lines[2:-2] for word in line[70:].split() if word[0] == "L"}
        assert "L11" in named
        assert all(word.removeprefix("L").replace("–", "").isdigit() for word in named)
        scale = Scale(0.0, 27.0, False)
        for at, line in enumerate(lines[2:-2]):
            for word in line[70:].split():
                for layer in word.removeprefix("L").split("–") if word[0] == "L" else ():
                    row = round((1 - (scale.fraction(float(layer)) or 0)) * (4 * (height - 4) - 1)) >> 2
                    assert abs(row - at) <= 1, "no name floats without its line"


def test_names_on_one_row_share_it_or_are_counted() -> None:
    ends = [LineEnd(f"L{layer}", layer, 4, layer) for layer in range(9)]
    texts = {row: [label.text for label in labels] for row, labels in line_labels(ends, 7, 9, 20).items()}
    assert texts == {4: ["L7", "L0–6"], 3: ["L8"]}
    crowded = [*ends, *(LineEnd("x", 9, row) for row in (3, 5))]
    assert [label.text for label in line_labels(crowded, 7, 6, 20)[4]] == ["L7", "+8"]
    assert [label.text for label in line_labels(crowded, 7, 4, 20)[4]] == ["L7"]
    assert [label.text for label in line_labels(crowded, 7, 10, 20)[4]] == ["L7", "L0–6", "L8"]
    apart = [LineEnd(f"L{layer}", layer, 4, layer) for layer in (10, 12, 14, 16)]
    found = line_labels([*apart, *crowded[-2:]], 10, 10, 20)
    assert [label.text for label in found[4]] == ["L10", "L12", "+2"]


def test_the_readout_has_no_orphan_and_counts_what_it_leaves_out() -> None:
    many = [(f"a long name {at}", [float(at), 1.0]) for at in range(7)]
    line = drawn(figure(*many, focus=3), 0, width=70)[1]
    assert line.strip().startswith("━ a long name 3 3.00")
    assert line.rstrip().endswith("+4")
    layers = [(f"L{at}", [float(at), 1.0]) for at in range(20)]
    assert drawn(figure(*layers, focus=3), 0, width=70)[1].strip() == (
        "━ L3 3.00  of 20:  most L19 19.0  least L0 0"
    )


def test_another_run_is_drawn_with_points_of_its_own() -> None:
    for ink in (INK, PLAIN):
        series = [Series("L3", [1.0, 2.0, 3.0]), Series("old L3", [3.0, 2.5, 1.0], "points", CROSS)]
        lines = drawn(Figure(y_title="T", series=series), 1, ink=ink)
        assert "× old L3 2.5" in lines[1]
        assert "".join(lines[2:]).count(CROSS) == 3


def test_bars_begin_at_zero_and_the_others_are_dots_beside_them() -> None:
    series = [Series("L3", [None, 4.0, 8.0, 0.0], "bars"), Series("L4", [None, 6.0, 1.0, 2.0], "dots")]
    lines = drawn(Figure(y_title="T", series=series), width=53, height=16)
    heights = [sum(line[column] in "▁▂▃▄▅▆▇█" for line in lines[2:-2]) for column in (22, 32, 42)]
    assert heights == [6, 12, 1], "a known zero has the least of a bar"
    assert not any(line[column] in "▁█" for line in lines for column in (26, 36, 46))
    assert sum("⠀" < cell <= "⣿" for line in lines for cell in line) == 3
    assert ticks_of(drawn(figure(("L0", [5.0, 6.0]), kind="bars")))[-1] == "0"
    below = drawn(figure(("L0", [-1.0, 1.0]), kind="bars"), width=60, height=16)
    assert ticks_of(below) == ["1", "0.5", "0", "−0.5", "−1"]


def test_flags_are_above_their_positions() -> None:
    lines = drawn(figure(("L0", [0.0, 1.0] * 6), flags=[0, 5, 11]), width=60)
    ticks = [at for at, character in enumerate(lines[-2]) if character == "┬"]
    flags = [at for at, character in enumerate(lines[2]) if character == FLAG]
    assert flags == [ticks[0], ticks[5], ticks[11]]


def test_positions_have_names_and_texts_where_they_fit() -> None:
    lines = drawn(figure(("L0", [1.0, 2.0, 3.0]), x_names=["0", "half", "1"], x_title="α"), 2)
    assert lines[-1].split() == ["α", "0", "half", "1"]
    words = [f" word{at}" for at in range(40)]
    texts = drawn(figure(("L0", [1.0] * 40), x_texts=words), 17, width=90)[-1].split()
    assert texts[0] == "text"
    assert "·word17" in texts, "the cursor's own is whole"
    assert len(texts) < 12
    wide = drawn(figure(("L0", [1.0] * 40), x_texts=words), 17, width=400)[-1].split()
    assert len(wide) == 41


def test_a_move_of_the_cursor_changes_what_it_says_and_nothing_else() -> None:
    of = figure(
        ("L0", [float(at) for at in range(30)]),
        x_texts=[f"t{at}" for at in range(30)],
        below=lambda at: [str(at)],
    )
    drawing = PlotDrawing(of, (80, 20), INK)
    before, after = ([drawing.line(y, at) for y in range(20)] for at in (4, 21))
    regions = drawing.moved(4, 21)
    for y, (old, new) in enumerate(zip(before, after, strict=True)):
        for x, (a, b) in enumerate(zip(old.text, new.text, strict=True)):
            assert a == b or any(region.contains(x, y) for region in regions), (x, y)
    assert sum(region.area for region in regions) < 80 * 20 / 3


def test_a_click_finds_the_position_and_the_nearest_line() -> None:
    of = figure(("L0", [0.0, 0.0, 0.0]), ("L1", [9.0, 9.0, 9.0]))
    drawing = PlotDrawing(of, (60, 16), INK)
    for at in range(3):
        column = drawing.region_of(at)
        assert drawing.position_at(column.offset) == at
        assert drawing.line_at(column.offset) == 1
        assert drawing.line_at(column.bottom_left - Offset(0, 1)) == 0
    assert drawing.position_at(Offset(0, 0)) is None


def test_small_multiples_share_their_axes_and_show_the_page_of_the_focus() -> None:
    layers = [figure((f"L{layer}", [0.0, float(layer)])) for layer in range(28)]
    drawing = MultiplesDrawing(layers, 17, (80, 20), INK, is_common=True)
    lines = [drawing.line(y, 1).text for y in range(20)]
    page = drawing.n_columns * drawing.n_rows
    assert drawing.first == 17 // page * page > 0
    assert (
        lines[0].strip() == f"T  a panel for each layer, {drawing.first + 1} to {drawing.first + page} of 28"
    )
    assert "L17 17.0" in lines[1]
    shown = {word for line in lines[2:] for word in line.split() if word[0] == "L"}
    assert shown == {f"L{layer}" for layer in range(drawing.first, min(drawing.first + page, 28))}
    assert "20" in "".join(line[:7] for line in lines[2:]), (
        "the greatest of all layers is on every panel's scale"
    )
    assert drawing.panel_at(drawing.region_of(1).offset) == 17
    assert drawing.position_at(drawing.region_of(1).offset) == 1
    few = MultiplesDrawing(layers[:4], 0, (120, 30), INK, is_common=True)
    assert few.n_columns * few.n_rows >= 4


def test_thinning_keeps_peaks_and_order() -> None:
    points = [(unit, float(unit == 505) - float(unit == 710)) for unit in range(1000)]
    kept = thinned(points, 50)
    assert len(kept) <= 100
    assert {(505, 1.0), (710, -1.0)} <= set(kept)
    assert kept == sorted(kept)
    assert thinned(points[:100], 50) == points[:100]
