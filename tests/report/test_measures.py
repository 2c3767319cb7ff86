"""The registry of measures: every number has its entry, and every reader takes it from there."""

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from icltui.api.option_table import option_of
from icltui.report import figure_style, measure_tables
from icltui.report.measure_json_csv import measure_csv, measure_json
from icltui.report.measure_tables import measure_table
from icltui.report.measures import (
    DELTA_NOISE,
    INDEX,
    LAYER_CHECKS,
    MATRIX_NORMS,
    MEASURES,
    PREDICTIONS,
    CheckSpec,
    MeasureSpec,
    PredictionSpec,
)
from icltui.report.session_formats import render_session
from icltui.report.verify import verify_table
from icltui.tui.dialogs.help import help_sections, pane_blocks
from icltui.tui.draw.clipboard_text import layers_copy, measure_copy, stream_copy
from icltui.tui.draw.plots import measure_figure
from icltui.tui.draw.table_columns import columns
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.verify_view import proof_text
from icltui.values import Dynamics, LayerCheck, Prediction, Row
from tests.sessions import A_MEASUREMENT, A_MODEL, A_SESSION, A_VERIFICATION
from tests.tui import rows_of


def test_every_field_of_a_row_has_its_entry() -> None:
    assert {*INDEX, *MEASURES, DELTA_NOISE, MATRIX_NORMS} == set(Row.__struct_fields__)


def test_every_number_of_a_prediction_has_its_entry() -> None:
    numbers = {"probability", *Prediction.__struct_fields__} - {"unit", "top"}
    assert set(PREDICTIONS) == numbers
    prediction = A_MEASUREMENT.predictions[0]
    found = {name: spec.value(prediction) for name, spec in PREDICTIONS.items()}
    assert found["probability"] == prediction.top[0].probability
    assert all(found[name] == getattr(prediction, name) for name in numbers - {"probability"})


def test_every_number_of_the_proof_at_a_layer_has_its_entry() -> None:
    numbers = {*LayerCheck.__struct_fields__} - {"limits"}  # which the table of what decides has
    assert ["layer", *LAYER_CHECKS] == sorted(numbers, key=["layer", *LAYER_CHECKS].index)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measure and a number of a prediction that no reader has heard of."""
    meaning = ("a made-up meaning", "2 + 2")
    monkeypatch.setattr(Row, "made_up", property(lambda _row: 4321.0), raising=False)
    monkeypatch.setitem(MEASURES, "made_up", MeasureSpec("made_up", "made‖up", True, meaning))
    for table in ("units", "layers", "step", "ranking"):
        monkeypatch.setitem(measure_tables._TABLES, table, ("made_up",))
    monkeypatch.setattr(LayerCheck, "made_up", property(lambda _check: 1234567), raising=False)
    monkeypatch.setitem(LAYER_CHECKS, "made_up", CheckSpec("made‖up", width=12))
    monkeypatch.setitem(PREDICTIONS, "odds", PredictionSpec("odds", "odds‖", "", lambda _prediction: 8765.0))


@pytest.mark.usefixtures("made_up")
def test_a_made_up_measure_is_in_every_table_for_people() -> None:
    for text in (
        measure_table(A_MODEL, A_SESSION.prompt, A_MEASUREMENT, 200),
        render_session(A_SESSION, "md").decode(),
    ):
        assert text.count("made‖up") >= 3
        assert text.count("odds‖") == 1
        assert "4.32e+03" in text
        assert "8.76e+03" in text


@pytest.mark.usefixtures("made_up")
def test_a_made_up_measure_is_in_every_file_and_copy() -> None:
    measured = MeasuredUnits.from_measurement(A_MEASUREMENT)
    rows = list(csv.DictReader(io.StringIO(measure_csv(A_MEASUREMENT))))
    assert (rows[0]["made_up"], rows[0]["odds"]) == ("4321.0", "8765.0")
    copied = list(csv.DictReader(io.StringIO(stream_copy(measured, 0)), delimiter="\t"))
    assert (copied[0]["made_up"], copied[0]["odds"]) == ("4321.0", "8765.0")
    assert "4321.0" in measure_copy(measured, "made_up", (0,))
    assert "4321.0" in layers_copy(measured, "made_up", 0, {0: True}, {}, {})
    document = json.loads(measure_json(A_MODEL, A_SESSION.prompt, A_MEASUREMENT))
    assert document["predictions"][0]["odds"] == 8765.0


@pytest.mark.usefixtures("made_up")
def test_a_made_up_measure_is_plotted_and_explained() -> None:
    measured = MeasuredUnits.from_measurement(A_MEASUREMENT)
    plotted = measure_figure(measured, "made_up", (0,), False, 0)
    assert plotted.y_title.startswith("made‖up")
    assert plotted.title.startswith("a made-up meaning")
    assert plotted.series[0].values == [4321.0] * 3
    assert ("made‖up", "a made-up meaning: 2 + 2") in help_sections()["Numbers, under grow"]
    assert pane_blocks("plots", "grow", "made_up")


def test_the_figure_takes_symbols_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(figure_style._SETTINGS, "svg.fonttype", "none")  # texts as texts
    for field in ("delta_norm", "relative_patch_norm"):
        monkeypatch.setitem(MEASURES, field, replace(MEASURES[field], symbol=f"made up {field}"))
    drawn = render_session(A_SESSION, "svg").decode()
    assert "made up delta_norm" in drawn
    assert "made up relative_patch_norm" in drawn


@pytest.mark.usefixtures("made_up")
def test_a_made_up_check_is_in_both_proofs() -> None:
    assert "1234567" in verify_table(A_MODEL, A_VERIFICATION, 120)
    text = proof_text(A_VERIFICATION, 120).plain
    assert "   made‖up" in text
    assert "     1234567" in text


def test_the_explorers_table_takes_symbols_and_widths_from_the_registry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns.cache_clear()
    monkeypatch.setitem(MEASURES, "delta_norm", MeasureSpec("delta_norm", "d", True, ("", ""), width=11))
    monkeypatch.setitem(
        PREDICTIONS, "probability", PredictionSpec("probability", "P", "", lambda _p: 0.25, width=9)
    )
    shown = {column.title: column.width for column in columns(100, 3)}
    columns.cache_clear()
    assert (shown["d"], shown["P"]) == (11, 9)


def test_every_measure_is_a_number_of_a_row() -> None:
    row = rows_of(2, (0,))[0]
    assert all(isinstance(getattr(row, name), float) for name in MEASURES)
    assert all(len(measure.symbol) <= 9 for measure in MEASURES.values())


@pytest.mark.parametrize("dynamics", option_of("dynamics").choices)
def test_every_measure_says_what_it_is_where_it_is_defined(dynamics: Dynamics) -> None:
    for measure in MEASURES.values():
        words, formula = measure.meaning(dynamics)
        assert bool(words) == bool(formula) == measure.is_defined(dynamics)
        assert "[" not in measure.symbol + words + formula
    undefined = {name for name, measure in MEASURES.items() if not measure.is_defined(dynamics)}
    no_way = {"net_patch_norm", "cumulative_patch_norm"} if dynamics == "drop" else set()
    assert undefined == no_way | ({"implicit_loss"} if dynamics != "grow" else set())


def test_formulas_are_those_of_the_dynamics() -> None:
    formulas = {
        dynamics: MEASURES["delta_norm"].meaning(dynamics)[1] for dynamics in option_of("dynamics").choices
    }
    assert formulas == {
        "grow": "‖A_i − A_{i−1}‖",
        "shrink": "‖A_i − A_{i−1}‖",
        "drop": "‖A − A_without‖",
    }
    assert "‖A_i‖" in MEASURES["patch_norm"].meaning("shrink")[1]
    assert "‖A_0‖" in MEASURES["patch_norm"].meaning("grow")[1]


def test_only_what_is_never_negative_has_a_log_scale() -> None:
    linear = {name for name, measure in MEASURES.items() if not measure.log}
    assert linear == {"cosine_previous", "implicit_loss", "update_cosine_previous"}


@pytest.mark.parametrize(
    ("dynamics", "formula"),
    [
        ("grow", "‖v_i − v_{i−1}‖ / ‖g_i‖"),
        ("shrink", "‖v_i − v_{i−1}‖ / ‖g_0‖"),
        ("drop", "‖v − v_without‖ / ‖g‖"),
    ],
)
def test_the_output_patch_is_held_against_what_the_context_hands_on(dynamics: Dynamics, formula: str) -> None:
    assert MEASURES["output_patch_norm"].meaning(dynamics)[1] == formula


@pytest.mark.parametrize("dynamics", option_of("dynamics").choices)
def test_a_formula_has_room_in_the_border_of_80_columns(dynamics: Dynamics) -> None:
    formulas = [measure.meaning(dynamics)[1] for measure in MEASURES.values()]
    assert max(map(cell_len, formulas)) + len(f" · {dynamics} · local · reset") <= 80 - 6
