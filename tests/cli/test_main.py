"""The headless commands on the embedded model: keys, exit codes, one plain line for whatever is wrong."""

import argparse
import csv
import io
import json
import re
import shutil
import sys

import msgspec
import pytest

from icltui import __main__
from icltui.api import run_to_result
from icltui.api.messages import LoadModel, Measure, MeasureEnded, PromptTokenized, UnitsMeasured
from icltui.cli import main as main_module
from icltui.cli import parser
from icltui.cli.common import load_request
from icltui.cli.explore import what_to_open
from icltui.cli.main import main
from icltui.cli.options import read_text
from icltui.cli.output import write_text
from icltui.storage.paths import MODEL_DIR
from icltui.storage.sessions import read_session
from icltui.values import ModelInfo, Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.sessions import A_MEASUREMENT, A_MODEL, a_prediction

CONTEXT = "The capital of France is Rome.\nThe capital of Spain is Cairo.\n"
PROMPT = ["-c", CONTEXT, "-q", "The capital of France is"]


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def test_measure_json_has_the_promised_keys(capsys):
    code, out, err = run(capsys, "measure", *PROMPT, "--format", "json", "--layers", "1,4-5")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert {
        "model",
        "path",
        "context_tokens",
        "query_tokens",
        "units",
        "rows",
        "predictions",
        "seconds",
    } <= set(data)
    msgspec.convert(data["model"], ModelInfo)
    assert data["path"] == "packed"
    assert "".join(t["text"] for t in data["context_tokens"]) == CONTEXT
    assert [u["index"] for u in data["units"]] == list(range(1, len(data["context_tokens"]) + 1))
    assert {row["layer"] for row in data["rows"]} == {1, 4, 5}
    assert len(data["rows"]) == 3 * (len(data["units"]) + 1)
    promised = (
        "unit layer delta_norm z_norm learning_rate patch_norm relative_patch_norm cumulative_patch_norm "
    )
    promised += "net_patch_norm cosine_previous"
    assert set(promised.split()) <= set(data["rows"][0])
    assert data["rows"][0]["delta_norm"] is None
    assert set(data["predictions"][0]) >= {"unit", "token", "probability", "entropy", "kl_to_full"}
    assert data["predictions"][0]["token"] == " Paris"
    assert data["predictions"][-1]["token"] == " Rome"
    assert data["predictions"][-1]["kl_to_full"] == 0.0


def test_generate_json(capsys):
    code, out, _ = run(capsys, "generate", *PROMPT, "--format", "json", "--tokens", "8")
    assert code == 0
    data = json.loads(out)
    assert set(data) >= {"lanes", "agreement", "mode", "fit", "model", "refused", "positions", "chat"}
    assert data["lanes"]["context"]["text"].startswith(" Rome")
    assert data["lanes"]["plain"]["text"].startswith(" Paris")
    assert data["lanes"]["patched"]["token_ids"] == data["lanes"]["context"]["token_ids"]
    assert data["agreement"]["patched"] == {"equal": 8, "total": 8, "first_difference": None}
    assert data["fit"]["patched"]["linf"] < 1e-4 < 1 < data["fit"]["plain"]["linf"]


def test_verify_json(capsys):
    code, out, _ = run(capsys, "verify", *PROMPT, "--format", "json")
    assert code == 0
    data = json.loads(out)
    assert set(data) >= {"layers", "logits", "controls", "noise_floor", "ok", "model", "refused", "seed"}
    assert data["ok"] is True
    assert set(data["logits"]) == {"plain", "weights", "shift", "patched"}
    assert set(data["controls"]) == {"random", "shuffled"}
    assert all(layer["block_error"] < 1e-5 for layer in data["layers"])


def test_verify_says_1_when_a_check_fails(capsys, monkeypatch):
    monkeypatch.setattr("icltui.engine.verify.verdict._faults", lambda *_: iter(["it is not exact"]))
    code, out, _ = run(capsys, "verify", *PROMPT)
    assert code == 1
    assert out.rstrip().splitlines()[-1] != "ok"


@pytest.mark.parametrize("command", ["measure", "generate", "verify"])
def test_tables_are_text_for_people(capsys, command):
    code, out, err = run(capsys, command, *PROMPT)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert len(out.splitlines()) > 8


def test_csv_has_a_line_for_each_row(capsys, tmp_path):
    path = tmp_path / "rows.csv"
    code, out, _ = run(capsys, "measure", *PROMPT, "--format", "csv", "--layers", "last", "-o", str(path))
    assert (code, out) == (0, "")
    assert len(path.read_text().splitlines()) == 1 + 1 + 16


def test_save_writes_a_session_that_opens_without_a_model(capsys, tmp_path):
    path = tmp_path / "s.json"
    assert run(capsys, "generate", *PROMPT, "--tokens", "3", "--mode", "frozen", "--save", str(path))[0] == 0
    session = read_session(path)
    assert session.prompt.context == CONTEXT
    assert session.model.architecture == "Qwen3ForCausalLM"
    assert session.recipe.mode == "frozen"
    assert session.generation.lanes["context"].text == " Rome.\n"
    code, _, err = run(capsys, "generate", *PROMPT, "--save", str(path))
    assert code == 2
    assert "exists already" in err


def test_text_comes_from_files(capsys, tmp_path):
    (tmp_path / "c").write_text(CONTEXT)
    (tmp_path / "q").write_text("The capital of France is\n")
    code, out, _ = run(
        capsys,
        "generate",
        "-c",
        f"@{tmp_path}/c",
        "-q",
        f"@{tmp_path}/q",
        "--format",
        "json",
        "--tokens",
        "1",
    )
    assert code == 0
    assert json.loads(out)["lanes"]["context"]["text"] == " Rome"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["measure", "-c", "a", "-q", ""], 2, "the query is empty"),
        (["measure", "-c", "a"], 2, "-q"),
        (["measure", "-q", "b", "--layers", "9"], 2, "layers 0 to 5"),
        (["measure", "-q", "b", "--format", "xml"], 2, "--format"),
        (["measure", "-c", "a " * 2000, "-q", "b"], 2, "shorten the context by"),
        (["measure", "-c", "@no/such/file", "-q", "b"], 2, "cannot read 'no/such/file'"),
        (["measure", "-c", "@bob", "-q", "b"], 2, "write @@ where a text begins with @"),
        (["measure", "-q", "b", "--revision", "v9", "--model", "."], 2, "not with a folder"),
        (["measure", "-q", "b", "--dtype", "float8"], 2, "not known"),
        (["measure", "-q", "b", "--device", "gpu"], 2, "not available"),
        (["measure", "-q", "b", "--model", "./none"], 3, "no folder or file './none'"),
        (["measure", "-q", "b", "--model", "nobody/nothing"], 3, "nobody/nothing"),
        (["generate", "-q", "b", "--tokens", "0"], 2, "ask for 1 to"),
        (["measure", "-q", "b", "-o", "no/such/folder/x"], 2, "cannot write"),
        (["measure", "-q", "b", "-o", "."], 2, "cannot write"),
        (["measure", "-q", "b", "--model", ""], 2, "--model is empty"),
        (["measure", "-q", "b", "--layers", ""], 2, "not understood"),
        (
            ["verify", "-q", "b", "--seed", "9" * 30],
            2,
            "999 is out of range: give 0 to 2^63 - 1",
        ),
        (["measure", "-q", "b", "--device", "meta"], 2, "not available"),
        (["demo", "evaluate", "--folder", "nowhere"], 2, "no model in 'nowhere'"),
        (["demo"], 2, "--help"),
        (["no-such-session.json"], 2, "no-such-session.json"),
        (["--no-such-option"], 2, "--help"),
        (["a.json", "-q", "b"], 2, "give one of them"),
        (["--layers", "last"], 2, "go with a prompt"),
        (["--chat"], 2, "--chat: options that go with a prompt: give -c and -q too"),
        (["--dynamics", "drop", "--reference", "local"], 2, "--dynamics --reference: options that go"),
        (["--positions", "keep", "a.json"], 2, "--positions: options that go"),
        (["measure", "-q", "b", "--positions", "left"], 2, "--positions"),
        (["measure", "-q", "b", "--dynamics", "fall"], 2, "--dynamics"),
        (["verify", "-q", "b", "--dynamics", "drop"], 2, "--dynamics"),
        (["measure", "-q", "b", "--pairs", "--format", "csv"], 2, "use --format json or table"),
        (["measure", "-q", "b", "--unit", ""], 2, "the unit is empty"),
        (["measure", "-c", "a", "-q", "b", "--layers", "none"], 2, "no layer is selected"),
        (["measure", "-q", "b", "--chat"], 2, "no chat template: leave --chat out"),
        (["generate", "-q", "b", "--chat", "--bos", "never"], 2, "bos 'never' does not go with --chat"),
        (["measure", "-q", "b", "--site", "head=a.{layer}"], 2, "'head=a.{layer}' is not a site"),
        (["measure", "-q", "b", "--site", "mlp=a.mlp"], 2, "such as mlp=model.layers.{layer}.mlp"),
        (
            ["measure", "-q", "b", "--site", "mlp=a.{layer}", "--site", "mlp=b.{layer}"],
            2,
            "mlp is given twice",
        ),
        ([], 2, "needs a terminal"),
        (["measure", "-q", "b", "--seed", "1"], 2, "--seed"),
    ],
)
def test_what_is_wrong_is_one_plain_line(capsys, argv, code, words):
    got, out, err = run(capsys, *argv)
    assert got == code
    assert out == ""
    assert err.startswith("icltui: ")
    assert err.count("\n") == 1
    assert words in err


def test_interrupted(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("icltui.api.run_to_result.load", interrupt)
    assert main(["measure", "-q", "b"]) == 130


def test_interrupted_as_it_begins(monkeypatch):
    class Interrupted:
        def find_spec(self, *_):
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "icltui.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupted()])
    assert __main__.main() == 130


def measured(capsys, *argv: str) -> dict:
    code, out, err = run(capsys, "measure", "--format", "json", "--layers", "last", *argv)
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("context", "query", "unit", "units", "n_query"),
    [
        ("", "The capital", "token", [], 2),
        ("", "The capital", "line", [], 2),
        ("The", " capital", "token", ["The"], 1),
        ("The", " capital", "sentence", ["The"], 1),
        ("a; b; c", " d", ";", ["a;", " b;", " c"], 1),
    ],
)
def test_the_smallest_prompts(capsys, context, query, unit, units, n_query):
    data = measured(capsys, "-c", context, "-q", query, "--unit", unit)
    assert [u["text"] for u in data["units"]] == units
    assert len(data["query_tokens"]) == n_query
    assert [row["unit"] for row in data["rows"]] == list(range(len(units) + 1))
    assert [p["unit"] for p in data["predictions"]] == list(range(len(units) + 1))
    assert data["predictions"][-1]["kl_to_full"] == pytest.approx(0, abs=1e-5)


def test_a_separator_that_never_occurs_is_said(capsys):
    data = measured(capsys, "-c", "The capital", "-q", " of", "--unit", "|")
    assert len(data["units"]) == 1
    assert data["notes"] == ["unit '|' never ends in the context: the whole context is one unit"]


@pytest.fixture
def chatty(tmp_path):
    """The embedded model with a chat template."""
    for path in MODEL_DIR.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "chat_template.jinja").write_text("User:{{ messages[0].content | trim }}\nAssistant:")
    return str(tmp_path)


def test_a_chat_turn_is_measured_between_header_and_footer(capsys, chatty):
    context, query = " {{ 1 }} The capital of France is Rome.", " The capital of France?"
    data = measured(capsys, "--model", chatty, "--chat", "-c", context, "-q", query)
    texts = {
        part: "".join(token["text"] for token in data[f"{part}_tokens"])
        for part in ("prefix", "context", "query")
    }
    assert texts == {"prefix": "User:", "context": context, "query": query + "\nAssistant:"}
    assert data["chat"] is True
    assert "used exactly as typed" in data["notes"][0]
    assert len(data["rows"]) == len(data["context_tokens"]) + 1


def test_generate_and_verify_take_a_chat_turn(capsys, chatty):
    prompt = [
        "--model",
        chatty,
        "--chat",
        "-c",
        "The capital of France is Rome.",
        "-q",
        " The capital of France is",
    ]
    code, out, _ = run(
        capsys, "generate", *prompt, "--tokens", "3", "--format", "json", "--positions", "keep"
    )
    assert code == 0
    assert json.loads(out)["agreement"]["patched"]["equal"] == 3
    assert run(capsys, "verify", *prompt, "--layers", "0,5", "--positions", "keep")[0] == 0


@pytest.mark.parametrize("dynamics", ["shrink", "drop"])
@pytest.mark.parametrize("reference", ["free", "local"])
def test_a_measure_says_how_it_was_made(capsys, tmp_path, dynamics, reference):
    path = tmp_path / "s.json"
    how = [
        "--dynamics",
        dynamics,
        "--reference",
        reference,
        "--positions",
        "keep",
        "--pairs",
        "--unit",
        "line",
    ]
    data = measured(capsys, *PROMPT, *how, "--save", str(path))
    assert [data[key] for key in ("dynamics", "reference", "positions")] == [dynamics, reference, "keep"]
    (pairs,) = data["pairs"]
    assert pairs["layer"] == 5
    assert [len(pairs["cosine"]), len(pairs["transfer"][0])] == [2, 2]
    assert set(data["rows"][1]["matrix_norms"]) == {"gate_proj", "up_proj"}
    for prediction in data["predictions"][:1]:
        assert prediction["kl_to_full"] == pytest.approx(0, abs=1e-5)
    session = read_session(path)
    assert (session.dynamics, session.reference, session.prompt.positions) == (dynamics, reference, "keep")
    assert (session.measurement.dynamics, session.measurement.reference) == (dynamics, reference)


@pytest.mark.parametrize("dynamics", ["grow", "shrink", "drop"])
def test_csv_has_a_column_for_each_matrix(capsys, dynamics):
    code, out, _ = run(
        capsys, "measure", *PROMPT, "--unit", "line", "--format", "csv", "--dynamics", dynamics
    )
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 3 * 6
    assert rows[0]["text"] == ("(no context)" if dynamics == "grow" else "(whole context)")
    assert all(float(row["norm_gate_proj"]) > 0 for row in rows[6:])


def test_the_explorer_opens_on_the_prompt_and_how_it_is_to_be_measured():
    how = [
        "--chat",
        "--positions",
        "keep",
        "--dynamics",
        "shrink",
        "--reference",
        "local",
        "--layers",
        "last",
    ]
    args = parser.parse(["-c", "a", "-q", "b", "--site", "norm=a.{layer}", "--site", "mlp=b.{layer}", *how])
    session, path = what_to_open(args)
    assert path is None
    assert (session.prompt.chat, session.prompt.positions) == (True, "keep")
    assert (session.dynamics, session.reference, session.layers) == ("shrink", "local", "last")
    assert load_request(args, session).sites == {"norm": "a.{layer}", "mlp": "b.{layer}"}
    assert parser.parse(["-q", "b"]).sites == {}


def test_a_session_is_loaded_as_its_numbers_were_made():
    model = msgspec.structs.replace(A_MODEL, dtype="float16", quantize="4bit", sites={"mlp": "a.{layer}"})
    session = Session(prompt=Prompt(query="b"), model=model)
    same = load_request(parser.parse(["s.json"]), session)
    assert (same.dtype, same.quantize, same.sites) == ("float16", "4bit", {"mlp": "a.{layer}"})
    words = ["s.json", "--dtype", "float32", "--quantize", "8bit", "--site", "norm=b.{layer}"]
    other = load_request(parser.parse(words), session)
    assert (other.dtype, other.quantize, other.sites) == ("float32", "8bit", {"norm": "b.{layer}"})
    own = load_request(parser.parse(["s.json", "--model", "m"]), session)
    assert (own.dtype, own.quantize, own.sites) == ("auto", "none", {})


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--device-map", "auto", "--device", "cpu"], 2, "give one"),
        (["--device-map", "everywhere"], 2, "--device-map"),
        (["--quantize", "3bit"], 2, "--quantize"),
        (["--dtype", "int8"], 2, "dtype 'int8' not known"),
    ],
)
def test_options_of_loading_that_cannot_be(capsys, options, code, words):
    got, out, err = run(capsys, "measure", "-q", "b", *options)
    assert (got, out) == (code, "")
    assert err.startswith("icltui: ")
    assert err.count("\n") == 1
    assert words in err


def test_every_option_of_loading_reaches_the_engine(monkeypatch):
    asked = []

    def load(_engine, request, _tell):
        asked.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr("icltui.api.run_to_result.load", load)
    argv = "--model m --revision r --dtype bfloat16 --device-map balanced --quantize 8bit".split()
    assert main(["measure", "-q", "b", *argv, "--allow-pickle", "--trust-remote-code"]) == 130
    assert main(["measure", "-q", "b"]) == 130
    assert asked == [
        LoadModel(
            model="m",
            revision="r",
            dtype="bfloat16",
            device_map="balanced",
            quantize="8bit",
            allow_pickle=True,
            trust_remote_code=True,
        ),
        LoadModel(),
    ]


def test_the_size_of_a_model_is_told_before_it_is_loaded(capsys, tmp_path):
    shutil.copytree(MODEL_DIR, tmp_path / "copy")
    code, _, err = run(capsys, "measure", "-q", "b", "--model", str(tmp_path / "copy"), "--device", "cpu")
    assert code == 0
    assert err.count("\n") == 1
    assert re.search(r"1\.31 M parameters, [\d.]+ MB of weights, a measure adds up to [\d.]+ [MG]B, ", err)


def test_a_prediction_that_comes_again_counts_in_place_of_the_first():
    class Engine:
        def run(self, request, should_stop):  # noqa: ARG002
            unknown, known = a_prediction(1), a_prediction(0)
            yield PromptTokenized(tokens=A_MEASUREMENT.tokens)
            yield UnitsMeasured(rows=(), predictions=(known, unknown))
            yield UnitsMeasured(rows=(), predictions=(msgspec.structs.replace(unknown, kl_to_full=0.25),))
            yield MeasureEnded(layers=(), path="loop", seconds=0.0, pairs=A_MEASUREMENT.pairs)

    request = Measure(prompt=Prompt(query="b"), dynamics="drop", reference="local")
    measurement = run_to_result.measure(Engine(), request)
    assert [(p.unit, p.kl_to_full) for p in measurement.predictions] == [(0, 2.5), (1, 0.25)]
    assert (measurement.dynamics, measurement.reference) == ("drop", "local")
    assert measurement.pairs == A_MEASUREMENT.pairs


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setitem(main_module.COMMANDS, "measure", gone)
    monkeypatch.setattr(main_module, "discard_stdout", lambda: None)
    assert main(["measure", "-q", "x"]) == 0


def test_one_file_cannot_be_both_text_and_session(tmp_path, capsys):
    path = str(tmp_path / "one.json")
    assert main(["measure", "-q", "x", "-o", path, "--save", path]) == 2
    assert "both name" in capsys.readouterr().err
    assert not (tmp_path / "one.json").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["measure", "-c", "a", "-q", ""], "the query is empty"),
        (["measure", "-c", "a", "-q", "b", "--unit", ""], "the unit is empty"),
        (["measure", "-c", "a", "-q", "b", "--layers", "2-1"], "run backwards: write 1-2"),
        (["measure", "-c", "a", "-q", "b", "--layers", "x"], "not understood"),
        (["generate", "-c", "a", "-q", "b", "--tokens", "0"], "ask for 1 to 16777216"),
        (["generate", "-c", "a", "-q", "b", "--tokens", "16777217"], "ask for 1 to 16777216"),
        (["measure", "-c", "a", "-q", "b", "-o", f"{__file__}/x"], "cannot write"),
    ],
)
def test_bad_input_does_not_cost_a_load(words, error, capsys, monkeypatch):
    monkeypatch.setattr("icltui.cli.common.local_engine", None)
    assert main(words) == 2
    assert error in capsys.readouterr().err


def test_a_text_may_begin_with_an_at_sign():
    assert read_text("@@bob says hi") == "@bob says hi"


def output(text: str) -> int:
    return write_text(argparse.Namespace(output=None), text)


def test_stdout_is_utf_8_whatever_the_locale_says(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    assert output("‖ΔW‖") == 0
    assert raw.getvalue().decode() == "‖ΔW‖\n"


def test_a_stdout_that_takes_nothing_is_said(monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(BadInput, match="cannot write to stdout: no space left on device"):
        output("a")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(BadInput, match="cannot write to stdout: it is closed"):
        output("a")


def test_what_a_terminal_acts_on_stays_out_of_errors(capsys, monkeypatch):
    """A chat template or a config may say anything in an error."""

    def refuse(_):
        raise BadInput("\x1b]0;pwned\x07\u202e é")

    monkeypatch.setitem(main_module.COMMANDS, "measure", refuse)
    _, _, err = run(capsys, "measure", "-q", "b")
    assert err.startswith("icltui: ")
    assert err.endswith(" é\n")
    assert err[:-1].isprintable()
