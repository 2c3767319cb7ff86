"""What the plots show: next tokens with their flips, and a patch that is varied; as text it reads well."""

import pytest
from msgspec.structs import replace as with_changes

from icltui.tui.draw.plots import (
    Overlay,
    Pin,
    View,
    curve_figure,
    layer_figures,
    measure_figure,
    measures_figures,
    tokens_figure,
    views,
)
from icltui.tui.state.leading_tokens import flips, leading
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import CurvePoint, Curves, Dynamics, Prediction
from tests.tui import HOSTILE, board_of, samples, tokenized
from tests.tui.draw.test_plot_drawing import drawn


def told(*answers: tuple[str, float], dynamics: Dynamics = "grow") -> MeasuredUnits:
    """A measurement of units a, b, c, …, with these answers from unit 0 on; Paris is the second of each."""
    measured = MeasuredUnits(tokenized([chr(ord("a") + at) for at in range(len(answers) - 1)]), dynamics)
    predictions = [
        Prediction(
            unit=unit,
            top=samples.candidates((text, p), (" Paris", 0.01), ("x", 0.001)),
            entropy=0.5,
            kl_to_full=0.0,
        )
        for unit, (text, p) in enumerate(answers)
    ]
    measured.add((), predictions)
    return measured


ANSWERS = ((" Cairo", 0.4), (" Cairo", 0.5), (" Rome", 0.93), (" Rome", 0.9), (" Oslo", 0.6))


def test_flips_are_where_the_answer_becomes_another() -> None:
    found = [(f.unit, f.before.token.text, f.after.token.text) for f in flips(told(*ANSWERS))]
    assert found == [(2, " Cairo", " Rome"), (4, " Rome", " Oslo")]


def test_a_dropped_unit_flips_the_full_contexts_answer() -> None:
    measured = told((" Rome", 0.9), (" Cairo", 0.8), (" Cairo", 0.7), (" Rome", 0.9), dynamics="drop")
    found = [(f.unit, f.before.token.text, f.after.token.text) for f in flips(measured)]
    assert found == [(1, " Rome", " Cairo"), (2, " Rome", " Cairo")]


def test_leading_tokens_come_first_and_gaps_stay_gaps() -> None:
    measured = told(*ANSWERS)
    lines = {line.text: line.probabilities for line in leading(measured, 3)}
    assert list(lines) == [" Rome", " Cairo", " Oslo"]
    assert lines[" Rome"] == [None, None, 0.93, 0.9, None]
    assert [line.text for line in leading(measured)] == [" Rome", " Cairo", " Oslo", " Paris", "x"]
    assert leading(MeasuredUnits()) == ()


def test_the_flips_are_drawn_and_listed() -> None:
    lines = [line.rstrip() for line in drawn(tokens_figure(told(*ANSWERS), False, 72), 2, 72, 18)]
    assert lines[:2] == [
        "p  of the leading next tokens; gap: not among the likeliest",
        "unit 2 b  ━ ·Rome 0.930  ━ ·Cairo  ━ ·Oslo  ━ ·Paris 0.010  ━ x 1.0e-03",
    ]
    assert lines[2].split() == ["flips", "▾", "▾"]
    assert [line.split() for line in lines[-4:-2]] == [["unit", *"01234"], ["text", "∅", *"abcd"]]
    assert lines[-2:] == [
        "the answer flips 2 times, from the unit before",
        "❯unit 2 ·Rome 0.930 ← ·Cairo 0.500   unit 4 ·Oslo 0.600 ← ·Rome 0.900",
    ]


def test_many_flips_show_those_around_the_cursor() -> None:
    measured = told(*((f" {unit}", 0.5) for unit in range(60)))
    figure = tokens_figure(measured, False, 80)
    for unit, first, last in ((0, 1, 10), (30, 25, 34), (59, 50, 59)):
        below = figure.below(unit)
        assert below[0] == f"the answer flips 59 times, from the unit before, {first} to {last} shown"
        assert len(below) == 6
        assert not unit or any(f"❯unit {unit} " in line for line in below)


def test_an_answer_that_never_flips_is_said() -> None:
    figure = tokens_figure(told((" Rome", 0.5), (" Rome", 0.6)), False, 80)
    assert figure.below(0) == ["the answer has not flipped so far"]


def test_hostile_tokens_are_drawn() -> None:
    measured = told(*((text, 0.5) for text in HOSTILE))
    for width, height in ((1, 1), (20, 8), (60, 18), (78, 21)):
        for unit in range(len(HOSTILE)):
            lines = drawn(tokens_figure(measured, False, width), unit, width, height)
            assert not set("".join(lines)) & set("\x1b\x00\x7f\x9f\t\r\n\ud800")


def test_curves_tell_where_the_patch_is_best() -> None:
    figure = curve_figure(samples.VARIED, "alpha", True)
    lines = [line.rstrip() for line in drawn(figure, figure.mark, 72)]
    assert lines[:2] == [
        "KL(with context ‖ patched), nats, log scale  against the strength α",
        "α 1  ━ this query 0.010  ━ elsewhere 0.120",
    ]
    assert lines[-1] == "least: this query 0.010 at 1 · elsewhere 0.120 at 1"
    assert lines[-2].split() == ["α", "0", "0.5", "1", "1.5", "2"]


@pytest.mark.parametrize(
    ("view", "names"),
    [
        ("layers", ["lowest", "lowest, elsewhere", "highest", "highest, elsewhere"]),
        ("queries", ["fitted", "elsewhere"]),
    ],
)
def test_each_curve_has_its_lines(view: View, names: list[str]) -> None:
    points = (CurvePoint(x=1.0, kl=0.5, mse=None, kl_others=0.7), CurvePoint(x=8.0, kl=0.1, mse=None))
    curves = with_changes(samples.VARIED.curves, queries=points)
    figure = curve_figure(with_changes(samples.VARIED, curves=curves), view, False)
    assert [line.name for line in figure.series] == names
    assert len({line.depth for line in figure.series}) == len(names)


def test_there_is_nothing_to_see_of_curves_that_were_not_computed() -> None:
    for patch in (None, samples.PATCH):
        assert "C turns ΔW on" in drawn(curve_figure(patch, "alpha", False), None, 60, 10)[1]
    empty = with_changes(samples.PATCH, curves=Curves())
    assert all(not line.values for line in curve_figure(empty, "alpha", False).series)
    assert "queries" not in views(samples.VARIED, has_choice=False)


def test_every_layer_has_its_line_and_the_shown_one_is_in_front() -> None:
    measured = board_of(["a", "b"], layers=range(28))
    figure = measure_figure(measured, "delta_norm", range(28), False, 11)
    assert [line.name for line in figure.series] == [f"L{layer}" for layer in range(28)]
    assert figure.series[figure.focus].layer == 11
    assert [line.depth for line in figure.series] == sorted({line.depth for line in figure.series})
    some = measure_figure(measured, "delta_norm", (3, 5), False, 11)
    assert [line.layer for line in some.series] == [3, 5, 11], "the layer in focus is never missing"
    assert "3 of 28 layers" in some.title


def test_units_left_out_alone_are_bars_and_no_line() -> None:
    measured = board_of(["a", "b"], dynamics="drop")
    figure = measure_figure(measured, "delta_norm", (0, 1, 2), False, 1)
    assert [line.kind for line in figure.series] == ["dots", "bars", "dots"]
    assert {line.kind for line in tokens_figure(measured, False, 80).series} == {"points"}
    panels, at = layer_figures(measured, "delta_norm", (0, 1, 2), False, 1)
    assert ([panel.series[0].kind for panel in panels], at) == (["bars"] * 3, 1)


def test_another_run_and_pins_of_the_measure_lie_over_the_layers() -> None:
    measured = board_of(["a", "b"])
    pins = (Pin("delta_norm", 3, "run 1", (None, 1.0)), Pin("patch_norm", 3, "run 1", (None, 1.0)))
    figure = measure_figure(measured, "delta_norm", (0,), False, 0, Overlay(measured, "[/INST] old"), pins)
    assert [(line.name, line.kind) for line in figure.series] == [
        ("L0", "line"),
        ("[/INST] old L0", "points"),
        ("L3 run 1", "line"),
    ]


def test_a_layer_has_a_panel_for_each_measure_that_there_is() -> None:
    measured = board_of(["a", "b"], dynamics="drop")
    panels, at = measures_figures(measured, "patch_norm", True, 2)
    names = [panel.series[0].name for panel in panels]
    assert names[at] == "‖ΔW‖ L2"
    assert not any("Σ" in name for name in names), "a path has no length where units are left out alone"
