"""A measurement for scripts: the keys of its JSON, the columns of its CSV, and nothing that a terminal acts on."""

import csv
import io
import json

import msgspec
import pytest

from icltui.report import measure_json_csv
from icltui.values import Row
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt
from tests.sessions import A_MEASUREMENT, A_MODEL, DROPPED, HOSTILE

A_PROMPT = Prompt(query="is")


def test_measure_json_has_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(measure_json_csv.measure_json(A_MODEL, A_PROMPT, A_MEASUREMENT))
    assert document["model"]["name"] == "demo"
    assert (document["path"], document["seconds"], document["layers"]) == ("packed", 0.5, [0, 1])
    settings = [document[key] for key in ("dynamics", "reference", "positions", "chat")]
    assert settings == ["grow", "free", "reset", False]
    assert (document["path_reason"], document["refused"]) == ("", [])
    assert document["pairs"] == [
        {"layer": 1, "cosine": [[1.0, 0.875], [0.875, 1.0]], "transfer": [[0.0, 0.625], [None, 0.0]]}
    ]
    assert document["query_tokens"] == [{"id": 9, "text": "is"}]
    assert [token["id"] for token in document["context_tokens"]] == [5, 6]
    assert document["units"][1] == {"index": 2, "text": HOSTILE, "tokens": 1}
    assert set(document["rows"][0]) == set(Row.__struct_fields__)
    assert document["rows"][0]["delta_norm"] is None
    assert document["rows"][5]["patch_norm"] == 1 / 3
    first = document["predictions"][0]
    assert [first[key] for key in ("unit", "token", "probability", "entropy", "kl_to_full")] == [
        0,
        " Rome",
        0.75,
        0.5,
        2.5,
    ]
    assert first["top"][1] == {"token": {"id": 8, "text": " Paris"}, "probability": 0.125}


def test_a_number_that_json_lacks_is_refused_in_words() -> None:
    broken = msgspec.structs.replace(A_MEASUREMENT, seconds=float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        measure_json_csv.measure_json(A_MODEL, A_PROMPT, broken)


def test_csv_has_one_line_for_each_unit_and_layer() -> None:
    text = measure_json_csv.measure_csv(A_MEASUREMENT)
    assert len(text.splitlines()) == 7
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["unit"], row["layer"]) for row in rows] == [
        (str(u), str(n)) for u in range(3) for n in (0, 1)
    ]
    assert (rows[0]["text"], rows[0]["delta_norm"], rows[0]["kl_to_full"]) == ("(no context)", "", "2.5")
    assert (rows[3]["text"], float(rows[3]["patch_norm"]), rows[3]["token"]) == ("The", 1 / 3, "·Rome")


def test_csv_has_a_column_for_each_matrix() -> None:
    rows = list(csv.DictReader(io.StringIO(measure_json_csv.measure_csv(A_MEASUREMENT))))
    assert "matrix_norms" not in rows[0]
    assert [rows[i]["norm_gate"] for i in (0, 2, 3)] == ["", "0.25", "0.25"]
    assert [rows[i]["norm_expert 3"] for i in (0, 2, 3)] == ["", "", ""]
    assert rows[3]["norm_up"] == "0.5"


def test_where_units_leave_the_first_line_is_the_whole_context() -> None:
    rows = list(csv.DictReader(io.StringIO(measure_json_csv.measure_csv(DROPPED))))
    assert (rows[0]["text"], rows[2]["text"]) == ("(whole context)", "The")


def test_csv_of_a_run_cut_short_lacks_predictions_only() -> None:
    cut = msgspec.structs.replace(A_MEASUREMENT, predictions=A_MEASUREMENT.predictions[:1])
    rows = list(csv.DictReader(io.StringIO(measure_json_csv.measure_csv(cut))))
    assert (rows[5]["net_patch_norm"], rows[5]["token"], rows[5]["probability"]) == ("1.4", "", "")


@pytest.mark.parametrize(
    "text",
    [
        measure_json_csv.measure_json(A_MODEL, A_PROMPT, A_MEASUREMENT),
        measure_json_csv.measure_csv(A_MEASUREMENT),
    ],
)
def test_data_holds_nothing_that_a_terminal_acts_on(text: str) -> None:
    assert all(line.isprintable() for line in text.splitlines())
    text.encode()
