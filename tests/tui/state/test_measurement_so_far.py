"""The board gathers what streams in, in whatever order."""

import msgspec
import pytest

from icltui.report.measures import MEASURES
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Dynamics, Measurement, Row
from tests.tui import board_of, fill, prediction_of, rows_of, samples, tokenized


def test_a_new_board_is_empty() -> None:
    measured = MeasuredUnits()
    assert (measured.n_units, measured.n_measured, measured.last_unit, measured.layers) == (0, 0, -1, ())
    assert measured.value("delta_norm", 0, 0) is None
    assert measured.series("delta_norm", 0) == []
    assert measured.bounds("delta_norm", ()) is None
    assert measured.prediction(0) is None


def test_a_begun_board_knows_how_many_units_will_come() -> None:
    measured = MeasuredUnits(tokenized(["a", "b"]))
    assert (measured.n_units, measured.n_measured) == (3, 0)
    assert [measured.unit_text(unit) for unit in range(-1, 4)] == ["", "∅", "a", "b", ""]


def test_values_series_and_layers() -> None:
    measured = board_of(["a", "b"], layers=(3, 1))
    assert measured.layers == (1, 3)
    assert measured.value("delta_norm", 2, 3) == 2.03
    assert measured.series("delta_norm", 1) == [None, 1.01, 2.01]
    assert measured.value("delta_norm", 2, 0) is None


def test_the_order_of_units_does_not_matter() -> None:
    tokens = tokenized(["a", "b", "c"])
    ahead, behind = MeasuredUnits(tokens), MeasuredUnits(tokens)
    for measured, order in ((ahead, (0, 1, 2, 3)), (behind, (3, 0, 2, 1))):
        for unit in order:
            fill(measured, [unit])
    for measure in MEASURES:
        assert ahead.series(measure, 2) == behind.series(measure, 2)
    assert behind.last_unit == 3


def test_gaps_are_none() -> None:
    measured = MeasuredUnits(tokenized(["a", "b", "c"]))
    fill(measured, [0, 3])
    assert measured.series("delta_norm", 0) == [None, None, None, 3.0]
    assert (measured.n_measured, measured.units) == (2, frozenset({0, 3}))


def test_bounds_leave_out_what_is_not_finite() -> None:
    measured = MeasuredUnits()
    rows = [
        Row(unit=u, layer=0, z_norm=v, learning_rate=None, net_patch_norm=0.0)
        for u, v in enumerate((2.0, float("inf"), None, float("nan"), -1.0))
    ]
    measured.add(rows, [])
    assert measured.bounds("z_norm", (0,)) == (-1.0, 2.0)
    assert measured.bounds("z_norm", (0,), positive=True) == (2.0, 2.0)
    assert measured.bounds("net_patch_norm", (0,), positive=True) is None


def test_bounds_follow_what_is_added() -> None:
    measured = board_of(["a"])
    assert measured.bounds("delta_norm", (0, 1)) == (1.0, 1.01)
    fill(measured, [5])
    assert measured.bounds("delta_norm", (0, 1)) == (1.0, 5.01)


def test_bounds_forget_what_was_replaced() -> None:
    measured = MeasuredUnits()
    for size in (9.0, 5.0):
        measured.add([Row(unit=0, layer=0, z_norm=size, learning_rate=None, net_patch_norm=None)], [])
        assert measured.bounds("z_norm", (0,)) == (size, size)


def test_every_change_makes_a_new_version() -> None:
    measured = MeasuredUnits(tokenized(["a", "b"]))
    versions = [measured.version]
    for unit in (0, 1, 1):
        fill(measured, [unit])
        versions.append(measured.version)
    assert len(set(versions)) == len(versions)
    assert (measured.n_units, measured.n_measured) == (3, 2)


def test_a_changed_prediction_is_noticed() -> None:
    measured = MeasuredUnits()
    measured.add(
        [], [prediction_of(0, " Paris", 7), prediction_of(1, " Rome", 8), prediction_of(2, " Rome", 8)]
    )
    assert [measured.has_changed(unit) for unit in range(4)] == [False, True, False, False]


def test_from_measurement_holds_all_of_it() -> None:
    tokens = tokenized(["a", "b"])
    rows = tuple(row for unit in range(3) for row in rows_of(unit, (0, 1)))
    predictions = tuple(prediction_of(unit) for unit in range(3))
    measurement = Measurement(
        tokens=tokens, layers=(0, 1), rows=rows, predictions=predictions, path="packed", seconds=1.0
    )
    measured = MeasuredUnits.from_measurement(measurement)
    assert (measured.tokens, measured.layers, measured.n_measured) == (tokens, (0, 1), 3)


@pytest.mark.parametrize(("dynamics", "text"), [("grow", "∅"), ("shrink", "nothing"), ("drop", "nothing")])
def test_unit_0_is_what_the_dynamics_begins_with(dynamics: Dynamics, text: str) -> None:
    assert board_of(["a"], dynamics=dynamics).unit_text(0) == text


def test_a_dropped_unit_is_compared_with_the_full_context() -> None:
    predictions = [prediction_of(0, " Rome", 8), prediction_of(1, " Paris", 7), prediction_of(2, " Paris", 7)]
    for dynamics, changed in (("drop", [False, True, True]), ("shrink", [False, True, False])):
        measured = board_of(["a", "b"], dynamics=dynamics)
        measured.add([], predictions)
        assert [measured.has_changed(unit) for unit in range(3)] == changed


def test_matrices_are_known_by_name() -> None:
    measured = board_of(["a"])
    assert measured.matrix_norms(1, 0) == {"gate_proj": 1 / 12, "up_proj": 1 / 15}
    assert measured.matrix_norms(0, 0) == measured.matrix_norms(9, 9) == {}


def test_a_prediction_that_comes_again_takes_the_place_of_the_first() -> None:
    measured = board_of(["a", "b"])
    first = msgspec.structs.replace(prediction_of(1), kl_to_full=None)
    measured.add([], [first])
    assert measured.prediction(1) == first
    version = measured.version
    measured.add([], [prediction_of(1)])
    assert measured.prediction(1) == prediction_of(1)
    assert measured.version > version


def test_peaks_are_the_greatest_of_each_bin_and_grow_with_what_streams_in():
    measured = MeasuredUnits(samples.TOKENS)
    for unit in range(samples.N_UNITS + 1):
        event = samples.chunk(unit, unit)
        measured.add(event.rows, event.predictions)
        for n in (1, 4, 1000):
            peaks, series = measured.peaks("cosine_previous", 2, n), measured.series("cosine_previous", 2)
            n_bins = min(n, measured.n_units)
            expected = [
                max(
                    (v for at, v in enumerate(series) if v is not None and at * n_bins // len(series) == b),
                    default=None,
                )
                for b in range(n_bins)
            ]
            assert peaks == expected
    event = samples.chunk(0, samples.N_UNITS)
    lower = [msgspec.structs.replace(row, cosine_previous=-1.0) for row in event.rows]
    measured.add(lower, ())
    assert measured.peaks("cosine_previous", 2, 1) == [-1.0], "a row that comes again replaces the one before"


def test_a_unit_is_known_to_have_changed_when_it_came_and_when_it_came_again():
    measured = MeasuredUnits(samples.TOKENS)
    before = measured.version
    for unit in (0, 1):
        event = samples.chunk(unit, unit)
        measured.add(event.rows, event.predictions)
    assert [measured.changed_at((unit,)) - before for unit in (0, 1)] == [1, 2]
    assert measured.changed_at((2, -1)) == 0
    measured.add((), (samples.prediction(0),))
    assert measured.changed_at((0, 1)) == measured.version


def test_a_row_that_comes_again_takes_its_old_number_out_of_the_bounds() -> None:
    measured = board_of(["a", "b"])
    assert measured.bounds("delta_norm", (0,)) == (1.0, 2.0)
    measured.add([msgspec.structs.replace(samples.row(2, 0), delta_norm=1.5)], ())
    assert measured.bounds("delta_norm", (0,)) == (1.0, 1.5)


def test_a_measurement_that_took_no_next_tokens_says_so_when_it_is_opened_again() -> None:
    without = msgspec.structs.replace(samples.session().measurement, predictions=())
    assert MeasuredUnits.from_measurement(without).is_mute
    assert not MeasuredUnits.from_measurement(samples.session().measurement).is_mute
