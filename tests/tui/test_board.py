"""The board gathers what streams in, in whatever order."""

from icltui.record import Measurement, Row
from icltui.tui.board import Board
from icltui.tui.measures import MEASURES
from tests.tui import board_of, fill, prediction_of, rows_of, tokenized


def test_a_new_board_is_empty() -> None:
    board = Board()
    assert (board.n_units, board.n_measured, board.last_unit, board.layers) == (0, 0, -1, ())
    assert board.value("delta_norm", 0, 0) is None
    assert board.series("delta_norm", 0) == []
    assert board.bounds("delta_norm", ()) is None
    assert board.prediction(0) is None


def test_a_begun_board_knows_how_many_units_will_come() -> None:
    board = Board()
    board.begin(tokenized(["a", "b"]))
    assert (board.n_units, board.n_measured) == (3, 0)
    assert [board.unit_text(unit) for unit in range(-1, 4)] == ["", "∅", "a", "b", ""]


def test_values_series_and_layers() -> None:
    board = board_of(["a", "b"], layers=(3, 1))
    assert board.layers == (1, 3)
    assert board.value("delta_norm", 2, 3) == 2.03
    assert board.series("delta_norm", 1) == [None, 1.01, 2.01]
    assert board.value("delta_norm", 2, 0) is None


def test_the_order_of_units_does_not_matter() -> None:
    ahead, behind = Board(), Board()
    for board, order in ((ahead, (0, 1, 2, 3)), (behind, (3, 0, 2, 1))):
        board.begin(tokenized(["a", "b", "c"]))
        for unit in order:
            fill(board, [unit])
    for measure in MEASURES:
        assert ahead.series(measure, 2) == behind.series(measure, 2)
    assert behind.last_unit == 3


def test_gaps_are_none() -> None:
    board = Board()
    board.begin(tokenized(["a", "b", "c"]))
    fill(board, [0, 3])
    assert board.series("delta_norm", 0) == [None, None, None, 3.0]
    assert (board.n_measured, board.measured) == (2, frozenset({0, 3}))


def test_bounds_leave_out_what_is_not_finite() -> None:
    board = Board()
    rows = [
        Row(unit=u, layer=0, z_norm=v, learning_rate=None, net_patch_norm=0.0)
        for u, v in enumerate((2.0, float("inf"), None, float("nan"), -1.0))
    ]
    board.add(rows, [])
    assert board.bounds("z_norm", (0,)) == (-1.0, 2.0)
    assert board.bounds("z_norm", (0,), positive=True) == (2.0, 2.0)
    assert board.bounds("net_patch_norm", (0,), positive=True) is None


def test_bounds_follow_what_is_added() -> None:
    board = board_of(["a"])
    assert board.bounds("delta_norm", (0, 1)) == (1.0, 1.01)
    fill(board, [5])
    assert board.bounds("delta_norm", (0, 1)) == (1.0, 5.01)


def test_bounds_forget_what_was_replaced() -> None:
    board = Board()
    for size in (9.0, 5.0):
        board.add([Row(unit=0, layer=0, z_norm=size, learning_rate=None, net_patch_norm=None)], [])
        assert board.bounds("z_norm", (0,)) == (size, size)


def test_every_change_makes_a_new_version() -> None:
    board = Board()
    versions = [board.version]
    for change in (lambda: board.begin(tokenized(["a"])), lambda: fill(board, [0]), board.clear):
        change()
        versions.append(board.version)
    assert len(set(versions)) == len(versions)
    assert (board.n_units, board.n_measured) == (0, 0)


def test_begin_forgets_the_run_before() -> None:
    board = board_of(["a", "b"])
    board.begin(tokenized(["x"]))
    assert (board.n_units, board.n_measured, board.prediction(1)) == (2, 0, None)


def test_a_changed_prediction_is_noticed() -> None:
    board = Board()
    board.add([], [prediction_of(0, " Paris", 7), prediction_of(1, " Rome", 8), prediction_of(2, " Rome", 8)])
    assert [board.has_changed(unit) for unit in range(4)] == [False, True, False, False]


def test_from_measurement_holds_all_of_it() -> None:
    tokens = tokenized(["a", "b"])
    rows = tuple(row for unit in range(3) for row in rows_of(unit, (0, 1)))
    predictions = tuple(prediction_of(unit) for unit in range(3))
    measurement = Measurement(
        tokens=tokens, layers=(0, 1), rows=rows, predictions=predictions, path="packed", seconds=1.0
    )
    board = Board.from_measurement(measurement)
    assert (board.tokens, board.layers, board.n_measured) == (tokens, (0, 1), 3)


def test_every_measure_is_a_number_of_a_row() -> None:
    row = rows_of(2, (0,))[0]
    assert all(isinstance(getattr(row, name), float) for name in MEASURES)
    assert all("[" not in measure.formula + measure.title for measure in MEASURES.values())
