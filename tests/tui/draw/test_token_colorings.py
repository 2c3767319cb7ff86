"""Each unit's number under each colouring, and what is said where there is none."""

from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Candidate, Prediction, Token
from tests.tui import board_of, fill, tokenized


def kls(measured: MeasuredUnits, *values: float | None) -> MeasuredUnits:
    """``measured`` with these divergences from the full context."""
    top = (Candidate(token=Token(id=1, text="x"), probability=0.5),)
    measured.add(
        (), [Prediction(unit=u, top=top, entropy=None, kl_to_full=kl) for u, kl in enumerate(values)]
    )
    return measured


def test_measures_are_those_of_the_layer() -> None:
    measured = board_of(["a", "b"])
    assert COLORINGS["delta_norm"].value(measured, 2, 3) == 2.03
    assert COLORINGS["relative_patch_norm"].value(measured, 2, 3) == 2.03 / 1000
    assert COLORINGS["learning_rate"].value(measured, 0, 3) == 0.01
    assert COLORINGS["delta_norm"].bounds(measured, 3, positive=False) == (1.0, 2.0)


def test_drop_one_is_nothing_else_than_that() -> None:
    drop_one = COLORINGS["drop_one"]
    grown, dropped = board_of(["a", "b"]), board_of(["a", "b"], dynamics="drop")
    assert drop_one.value(grown, 2, 0) is None
    assert drop_one.bounds(grown, 0, positive=False) is None
    assert drop_one.need(grown) == "these numbers are grow: press D until drop, then ^r"
    assert (drop_one.value(dropped, 2, 0), drop_one.need(dropped)) == (2.0, "")


def test_kl_and_its_change() -> None:
    measured = kls(board_of(["a", "b", "c"]), 2.0, 1.5, None, 0.0)
    kl, step = COLORINGS["kl"], COLORINGS["kl_step"]
    assert [kl.value(measured, unit, 0) for unit in range(4)] == [2.0, 1.5, None, 0.0]
    assert [step.value(measured, unit, 0) for unit in range(4)] == [None, 0.5, None, None]
    assert kl.bounds(measured, 0, positive=True) == (1.25, 2.0)


def test_a_dropped_unit_is_held_against_the_full_context() -> None:
    measured = kls(board_of(["a", "b"], dynamics="drop"), 0.0, 0.5, 0.75)
    assert [COLORINGS["kl_step"].value(measured, unit, 0) for unit in range(3)] == [None, 0.5, 0.75]


def test_a_run_without_next_tokens_says_so() -> None:
    measured = MeasuredUnits(tokenized(["a"]))
    assert COLORINGS["kl"].need(measured) == ""
    measured.path = "loop"
    assert "recorded no next tokens" in COLORINGS["kl"].need(measured)


def test_every_colouring_has_its_meaning_under_every_dynamics() -> None:
    for dynamics in ("grow", "shrink", "drop"):
        measured = MeasuredUnits(tokenized(["a"]), dynamics)
        fill(measured, [0, 1])
        for coloring in COLORINGS.values():
            assert coloring.meaning(measured) or coloring.need(measured)
