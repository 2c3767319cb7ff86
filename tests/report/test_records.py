"""What the headless commands print: the keys that scripts rely on, and nothing that a terminal acts on."""

import csv
import io
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
from icltui.text import escape
from icltui.values import Agreement, Candidate, Measurement, ModelInfo, Prediction, Row, Token
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_VERIFICATION, HOSTILE, REFUSING, a_row

A_PROMPT = Prompt(query="is")


def a_table(measurement: Measurement, width: int = 110, model: ModelInfo = A_MODEL) -> str:
    return measure_table(model, A_PROMPT, measurement, width)


DROPPED = msgspec.structs.replace(
    A_MEASUREMENT,
    dynamics="drop",
    rows=tuple(
        msgspec.structs.replace(
            a_row(unit, layer),
            net_patch_norm=None,
            cumulative_patch_norm=None,
            delta_norm=(None, 0.75, 0.5)[unit],
            output_patch_norm=unit,
        )
        for unit in range(3)
        for layer in range(2)
    ),
)

TABLES = {
    "measure": lambda width: a_table(A_MEASUREMENT, width),
    "verify": lambda width: verify.verify_table(A_MODEL, A_VERIFICATION, width),
    "generate": lambda width: generate.generate_text(A_MODEL, A_GENERATION, width),
}


def cells_of(text: str, start: str) -> list[list[str]]:
    """The words of each line of the table whose heading begins with ``start``."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(start)) + 2
    return [line.split() for line in lines[first : lines.index("", first)]]


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


def test_verify_json_has_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(
        verify.verify_json(REFUSING, A_PROMPT, msgspec.structs.replace(A_VERIFICATION, seed=7))
    )
    assert set(document) == {
        *("layers", "logits", "controls", "noise_floor", "ok", "undone", "tolerance", "note"),
        *("model", "refused", "positions", "chat", "seed", "ids"),
        *("logit_scale", "patched_share", "noise_share", "allowed", "caveat"),
    }
    assert [layer["layer"] for layer in document["refused"]] == [2, 3, 5]
    assert (document["positions"], document["chat"], document["seed"]) == ("reset", False, 7)
    assert set(document["layers"][0]) >= {"layer", "identity_error", "block_error", "cosine", "nmse", "rank"}
    assert list(document["logits"]) == ["plain", "weights", "shift", "patched"]
    assert document["logits"]["plain"] == {"mse": 4.0, "kl": 2.5, "linf": 9.0, "top1_equal": False}
    assert set(document["controls"]) == {"random", "shuffled"}


def test_generate_json_has_the_keys_that_scripts_rely_on() -> None:
    prompt = msgspec.structs.replace(A_PROMPT, chat=True, positions="keep")
    document = json.loads(generate.generate_json(REFUSING, prompt, A_GENERATION))
    assert [layer["layer"] for layer in document["refused"]] == [2, 3, 5]
    assert (document["positions"], document["chat"]) == ("keep", True)
    assert document["model"]["name"] == "demo"
    assert document["lanes"]["plain"] == {"text": " Paris.", "token_ids": [8, 1], "steps": []}
    assert document["agreement"]["plain"] == {"equal": 1, "total": 2, "first_difference": 0}
    assert (document["mode"], document["components"], document["layers"]) == ("per-step", "both", [0, 1])
    assert set(document["fit"]["patched"]) == {"mse", "kl", "linf", "top1_equal"}


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


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("width", [1, 80, 110, 200])
def test_tables_print_and_keep_their_width(name: str, width: int) -> None:
    text = TABLES[name](width)
    assert all(line.isprintable() for line in text.splitlines())
    assert max(map(len, text.splitlines())) <= max(width, 80)
    assert text.endswith("\n")


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
    assert "another text each time" in a_table(loop).splitlines()[0]
    assert "another text" in json.loads(measure_json_csv.measure_json(A_MODEL, A_PROMPT, loop))["path_reason"]
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


def test_the_verify_table_ends_with_the_verdict() -> None:
    text = verify.verify_table(A_MODEL, A_VERIFICATION)
    assert text.endswith("\nok\n")
    layers = cells_of(text, "Each layer")
    assert layers[0] == "layer MLP error identity block cosine NMSE rank gradient alignment".split()
    assert layers[1] == ["0", "4e-07", "1e-07", "2e-07", "1", "1e-13", "1", "0.5"]
    assert "control: random" in text
    failed = msgspec.structs.replace(A_VERIFICATION, ok=False, undone=False)
    assert verify.verify_table(A_MODEL, failed).endswith("\nFAILED\n")
    assert "without a trace: no" in verify.verify_table(A_MODEL, failed)


def test_the_lanes_stand_in_their_order_with_their_agreement() -> None:
    text = generate.generate_text(A_MODEL, A_GENERATION)
    titles = [line for line in text.splitlines() if line.startswith(("With", "Query"))]
    assert titles == [
        "With context",
        "Query only · 1 of 2 tokens as with the context, first different: token 1",
        "Query + ΔW · 2 of 2 tokens as with the context",
    ]
    assert "   Rome. ␛[31mred\n  next line\n" in text
    one = {"plain": Agreement(equal=0, total=1, first_difference=0)}
    assert "0 of 1 token as with" in generate.generate_text(
        A_MODEL, msgspec.structs.replace(A_GENERATION, agreement=one)
    )


def test_text_is_made_visible() -> None:
    assert escape.token_text("  a b\t\n ") == "··a b⇥⏎·"
    assert escape.token_text("  ") == "··"
    assert escape.token_text("") == ""
    assert escape.visible("\x00\x7f\x85\u200b\U000e0001\udc80é") == "␀␡\\x85\\u200b\\U000e0001\\udc80é"


def test_reports_need_no_model_and_no_screen() -> None:
    source = (
        "import sys, icltui.report.verify, icltui.storage.sessions\n"
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


HELD = msgspec.structs.replace(
    A_VERIFICATION, logit_scale=20.0, patched_share=4e-7, noise_share=0.0175, allowed=0.05, tolerance=0.05
)


@pytest.mark.parametrize(
    ("ok", "caveat", "last"),
    [
        (True, "", "ok"),
        (True, "to within 0.2 only", "ok: to within 0.2 only"),
        (False, "nothing is proved", "FAILED: nothing is proved"),
    ],
)
def test_the_proof_says_in_one_unit_what_it_was_held_to(ok: bool, caveat: str, last: str) -> None:
    text = verify.verify_table(A_MODEL, msgspec.structs.replace(HELD, ok=ok, caveat=caveat), 200)
    assert (
        "of the largest contextual logit, 20: patched 4e-07, noise floor 0.0175, allowed 0.05 (the tolerance, 0.05, or "
        "twice the noise floor)"
    ) in text
    assert text.splitlines()[-1] == last


def test_an_older_proof_names_the_unit_of_each() -> None:
    text = verify.verify_table(A_MODEL, A_VERIFICATION)
    assert "noise floor 1e-06 (logits)   tolerance 0.0001 (a share)" in text


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
