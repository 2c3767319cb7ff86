"""What the plots show: next tokens with their flips, and a patch that is varied; as text it reads well."""

import pytest
from msgspec.structs import replace as with_changes

from icltui.tui.draw.plotext_renderer import render_plot
from icltui.tui.draw.plots import View, curve_figure, measure_figure, tokens_figure, views
from icltui.tui.state.leading_tokens import flips, leading
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import CurvePoint, Curves, Dynamics, Prediction
from tests.tui import HOSTILE, board_of, samples, tokenized


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
    text = render_plot(tokens_figure(told(*ANSWERS), False, 2, 72), 72, 16).plain
    lines = [line.rstrip() for line in text.split("\n")]
    assert lines[:3] == [
        "p of the leading next tokens by unit; gap: not among the likeliest",
        "unit 2 b  ━a ·Rome 0.930  ━b ·Cairo  ━c ·Oslo  ━d ·Paris 0.010",
        "━e x 1.0e-03",
    ]
    assert lines[3].split() == ["flips", "▾", "▾"]
    assert lines[-2:] == [
        "the answer flips 2 times, from the unit before",
        "❯unit 2 ·Rome 0.930 ← ·Cairo 0.500   unit 4 ·Oslo 0.600 ← ·Rome 0.900",
    ]


def test_many_flips_show_those_around_the_cursor() -> None:
    measured = told(*((f" {unit}", 0.5) for unit in range(60)))
    for unit, first, last in ((0, 1, 10), (30, 25, 34), (59, 50, 59)):
        below = [line.plain for line in tokens_figure(measured, False, unit, 80).below]
        assert below[0] == f"the answer flips 59 times, from the unit before, {first} to {last} shown"
        assert len(below) == 6
        assert not unit or any(f"❯unit {unit} " in line for line in below)


def test_an_answer_that_never_flips_is_said() -> None:
    assert tokens_figure(told((" Rome", 0.5), (" Rome", 0.6)), False, 0, 80).below[0].plain == (
        "the answer has not flipped so far"
    )


def test_hostile_tokens_are_drawn() -> None:
    measured = told(*((text, 0.5) for text in HOSTILE))
    for width, height in ((1, 1), (20, 8), (60, 18), (78, 21)):
        for unit in range(len(HOSTILE)):
            text = render_plot(tokens_figure(measured, False, unit, width), width, height)
            assert not set(text.plain) & set("\x1b\x00\x7f\x9f\t\r\ud800")
            assert len(text.plain.split("\n")) <= height


def test_curves_tell_where_the_patch_is_best() -> None:
    figure = curve_figure(samples.VARIED, "alpha", True)
    text = render_plot(figure, 72, 16).plain
    lines = [line.rstrip() for line in text.split("\n")]
    assert lines[:2] == [
        "KL(with context ‖ patched) against α, log scale",
        "α 1  ━q this query 0.010  ━Q elsewhere 0.120",
    ]
    assert lines[-1] == "least: this query 0.010 at 1 · elsewhere 0.120 at 1"
    assert lines[-2].split() == ["0", "0.5", "1", "1.5", "2"]


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
    assert len({line.mark for line in figure.series}) == len(names)


def test_there_is_nothing_to_see_of_curves_that_were_not_computed() -> None:
    for patch in (None, samples.PATCH):
        assert "C turns ΔW on" in render_plot(curve_figure(patch, "alpha", False), 60, 10).plain
    empty = with_changes(samples.PATCH, curves=Curves())
    assert all(not line.values for line in curve_figure(empty, "alpha", False).series)
    assert "queries" not in views(samples.VARIED, has_choice=False)


def test_layers_with_one_last_digit_get_letters() -> None:
    measured = board_of(["a"], layers=(0, 5, 10))
    assert [line.mark for line in measure_figure(measured, "delta_norm", (0, 5), False, 0).series] == [
        "0",
        "5",
    ]
    assert [line.mark for line in measure_figure(measured, "delta_norm", (0, 5, 10), False, 0).series] == [
        "a",
        "b",
        "c",
    ]
