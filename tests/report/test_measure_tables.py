"""A measurement, and what goes before every report, as tables for people."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import icltui
from icltui.report import generate, measure_json_csv, verify
from icltui.report.measure_tables import measure_table
from icltui.values import Candidate, Measurement, ModelInfo, Prediction, Row, Token
from icltui.values.prompt import Prompt
from tests.report import cells_of
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_VERIFICATION, DROPPED, REFUSING

A_PROMPT = Prompt(query="is")


def a_table(measurement: Measurement, width: int = 110, model: ModelInfo = A_MODEL) -> str:
    return measure_table(model, A_PROMPT, measurement, width)


TABLES = {
    "measure": lambda width: a_table(A_MEASUREMENT, width),
    "verify": lambda width: verify.verify_table(A_MODEL, A_VERIFICATION, width),
    "generate": lambda width: generate.generate_text(A_MODEL, A_GENERATION, width),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", [1, 80, 110, 200])
def test_tables_print_and_keep_their_width(name: str, width: int) -> None:
    text = TABLES[name](width)
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= max(width, 80)
    assert text.endswith("\n")


def test_the_measure_table_shows_the_numbers_of_the_last_layer() -> None:
    text = a_table(A_MEASUREMENT)
    assert "note: one token straddles" in text
    units = cells_of(text, "Each unit at layer 1")
    assert units[0][:2] == ["#", "unit"]
    assert units[2] == ["1", "The", "0.25", "0.0156", "0.333", "0.01", "1.2", "·"]
    layers = cells_of(text, "Each layer after")
    assert layers[-1] == ["1", "8", "0.0156", "0.6", "1.4", "0.25", "1", "The"]
    steps = cells_of(text, "Each layer's step with the last unit")
    assert steps[1] == ["0", "0.125", "1.5", "-2", "0.75", "gate", "0.25", "up", "0.5"]
    assert steps[2][-3:] == ["expert", "3", "·"]
    pairs = cells_of(text, "Each unit's update against the others' at layer 1")
    assert pairs[1][:4] == ["1", "The", "0.875", "2"]
    assert pairs[1][-3:-1] == ["0.625", "2"]
    assert pairs[1][4].startswith("␛[2J[/INST]")
    assert pairs[2][-2:] == ["The", "·"]
    predictions = cells_of(text, "What follows")
    assert predictions[2] == ["1", "The", "·Rome", "0.75", "0.5", "·"]


def test_of_units_left_out_alone_those_that_move_most_are_marked() -> None:
    text = a_table(DROPPED)
    units = cells_of(text, "Each unit at layer 1, left out alone")
    assert units[0] == "# unit ‖δ‖ h ‖ΔW‖ ‖ΔW‖/‖W‖ cosine moves most".split()
    assert units[1][1:3] == ["(whole", "context)"]
    assert [line[-1] for line in units[2:]] == ["1st", "2nd"]
    layers = cells_of(text, "Each layer, and the unit that moves it most")
    assert layers[-1][:5] == ["1", "8", "0.0156", "0.75", "1"]
    assert cells_of(text, "Each layer's step without")[1][:2] == ["0", "1"]


def test_of_units_that_leave_the_last_step_stands_for_each_layer() -> None:
    shrunk = msgspec.structs.replace(DROPPED, dynamics="shrink")
    text = a_table(shrunk)
    assert cells_of(text, "Each unit at layer 1, as the units leave")[1][1] == "(whole"
    assert cells_of(text, "Each layer's step as the last unit leaves")[1][:2] == ["0", "2"]
    assert "dynamics shrink   reference free   positions reset" in text


def test_what_is_unusual_stands_on_top() -> None:
    loop = msgspec.structs.replace(A_MEASUREMENT, path="loop")
    lines = a_table(loop, model=REFUSING).splitlines()
    assert lines[0] == "left out: layers 2-3,5: error 0.3"
    assert lines[2] == "one pass for each unit (loop): no cache"
    assert "left out" not in a_table(loop)
    assert "loop" not in a_table(A_MEASUREMENT)
    assert "a different text each time" in a_table(loop).splitlines()[0]
    assert (
        "a different text"
        in json.loads(measure_json_csv.measure_json(A_MODEL, A_PROMPT, loop))["path_reason"]
    )
    assert verify.verify_table(REFUSING, A_VERIFICATION).splitlines()[0] == lines[0]
    assert generate.generate_text(REFUSING, A_GENERATION).splitlines()[0] == lines[0]


def test_a_measurement_without_predictions_says_so() -> None:
    text = a_table(msgspec.structs.replace(DROPPED, predictions=()))
    assert "What follows" not in text
    assert "no predictions: the packed pass" in text


def test_a_context_of_no_unit_is_one_line_each() -> None:
    tokens = msgspec.structs.replace(A_MEASUREMENT.tokens, context=(), units=())
    empty = msgspec.structs.replace(
        A_MEASUREMENT,
        tokens=tokens,
        rows=A_MEASUREMENT.rows[:2],
        predictions=A_MEASUREMENT.predictions[:1],
        pairs=(),
    )
    text = a_table(empty)
    assert len(cells_of(text, "Each unit at layer 1")) == 2
    assert "step" not in text


def test_text_is_cut_where_the_table_is_too_wide_and_numbers_never() -> None:
    names = set(Row.__struct_fields__) - {"unit", "layer", "matrix_norms", "delta_noise"}
    small = dict.fromkeys(names, -1.23456e-05)
    rows = tuple(
        Row(unit=unit, layer=1, **small, matrix_norms={"up": 1.0, "a long name " * 9: 1.0})
        for unit in range(3)
    )
    for dynamics, count in (("grow", 6), ("drop", 5)):
        tight = msgspec.structs.replace(A_MEASUREMENT, rows=rows, dynamics=dynamics)
        text = a_table(tight, 80)
        assert cells_of(text, "Each unit at")[3].count("-1.23e-05") == count
        assert cells_of(text, "Each layer's step")[1].count("-1.23e-05") == count - 2


def test_a_measurement_of_no_layer_shows_its_predictions() -> None:
    none = msgspec.structs.replace(A_MEASUREMENT, layers=(), rows=(), pairs=())
    assert "Each unit" not in a_table(none)
    assert "·Rome" in a_table(none)


def test_markup_in_a_token_stays_text() -> None:
    token = Token(id=1, text="[red][/INST]")
    odd = Prediction(unit=0, top=(Candidate(token=token, probability=1.0),), entropy=0.0, kl_to_full=0.0)
    text = a_table(msgspec.structs.replace(A_MEASUREMENT, predictions=(odd,)))
    assert "[red][/INST]" in text


def test_reports_need_no_model_and_no_screen() -> None:
    source = (
        "import sys, icltui.report.markdown, icltui.report.replay, icltui.report.zoo, icltui.storage.sessions\n"
        "print(sorted({'torch', 'transformers', 'textual'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(icltui.__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-c", source], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_what_rounding_alone_can_make_is_marked_and_its_size_told_by_layer() -> None:
    noise = {0: 1.0, 1: 0.2}
    rounded = msgspec.structs.replace(
        A_MEASUREMENT,
        precision="float32",
        rows=tuple(
            msgspec.structs.replace(row, delta_noise=noise[row.layer] if row.unit else None)
            for row in A_MEASUREMENT.rows
        ),
    )
    document = json.loads(measure_json_csv.measure_json(A_MODEL, A_PROMPT, rounded))
    assert document["precision"] == "float32"
    assert document["noise"] == [{"layer": 0, "delta_norm": 1.0}, {"layer": 1, "delta_norm": 0.2}]
    text = a_table(rounded)
    assert "~ marks ‖δ‖ within what rounding to float32 comes to alone: 2 of 4 rows" in text
    assert "precision float32" in text
    by_layer = cells_of(text, "Each layer")[1:]
    assert [line[-4] for line in by_layer] == ["1", "0.2"]
    assert [line[-3] for line in by_layer] == ["~0.25", "0.25"]
    assert "~" not in a_table(A_MEASUREMENT)
    assert "noise" not in a_table(A_MEASUREMENT)


def test_what_is_out_of_the_ordinary_about_a_model_is_said() -> None:
    model = msgspec.structs.replace(A_MODEL, notes=("an adapter lies beside it",))
    texts = (
        a_table(A_MEASUREMENT, model=model),
        verify.verify_table(model, A_VERIFICATION),
        generate.generate_text(model, A_GENERATION),
    )
    assert all("note: an adapter lies beside it" in text for text in texts)


def test_why_auto_chose_other_numbers_is_said_before_them() -> None:
    chosen = msgspec.structs.replace(A_MODEL, dtype_reason="no instructions for bfloat16")
    assert a_table(A_MEASUREMENT, model=chosen).startswith(
        "computed in float32: no instructions for bfloat16\n"
    )
    assert "computed in" not in a_table(A_MEASUREMENT)


def test_the_unit_that_moves_a_layer_most_is_the_largest_wherever_it_comes() -> None:
    last = msgspec.structs.replace(
        DROPPED,
        rows=tuple(
            msgspec.structs.replace(row, delta_norm=(None, 0.5, 0.75)[row.unit]) for row in DROPPED.rows
        ),
    )
    layers = cells_of(a_table(last), "Each layer, and the unit that moves it most")
    assert layers[-1][:5] == ["1", "8", "0.0156", "0.75", "2"]
