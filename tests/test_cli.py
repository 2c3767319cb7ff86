"""The headless commands on the embedded model: keys, exit codes, one plain line for whatever is wrong."""

import json

import msgspec
import pytest

from icltui.cli import main
from icltui.record import ModelInfo
from icltui.session import read_session

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
    assert set(data) >= {"lanes", "agreement", "mode", "fit"}
    assert data["lanes"]["context"]["text"].startswith(" Rome")
    assert data["lanes"]["plain"]["text"].startswith(" Paris")
    assert data["lanes"]["patched"]["token_ids"] == data["lanes"]["context"]["token_ids"]
    assert data["agreement"]["patched"] == {"equal": 8, "total": 8, "first_difference": None}
    assert data["fit"]["patched"]["linf"] < 1e-4 < 1 < data["fit"]["plain"]["linf"]


def test_verify_json(capsys):
    code, out, _ = run(capsys, "verify", *PROMPT, "--format", "json")
    assert code == 0
    data = json.loads(out)
    assert set(data) >= {"layers", "logits", "controls", "noise_floor", "ok"}
    assert data["ok"] is True
    assert set(data["logits"]) == {"plain", "weights", "shift", "patched"}
    assert set(data["controls"]) == {"random", "shuffled"}
    assert all(layer["block_error"] < 1e-5 for layer in data["layers"])


def test_verify_says_1_when_a_check_fails(capsys, monkeypatch):
    monkeypatch.setattr("icltui.engine.check._exact", lambda *_: False)
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
    assert session.mode == "frozen"
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
        (["measure", "-q", "b", "--dtype", "float8"], 2, "not known"),
        (["measure", "-q", "b", "--device", "gpu"], 2, "not to be had"),
        (["measure", "-q", "b", "--model", "./none"], 3, "no folder './none'"),
        (["measure", "-q", "b", "--model", "nobody/nothing"], 3, "nobody/nothing"),
        (["generate", "-q", "b", "--tokens", "0"], 2, "at least 1"),
        (["measure", "-q", "b", "-o", "no/such/folder/x"], 2, "cannot write"),
        (["measure", "-q", "b", "-o", "."], 2, "cannot write"),
        (["measure", "-q", "b", "--model", ""], 2, "--model is empty"),
        (["measure", "-q", "b", "--layers", ""], 2, "not understood"),
        (["verify", "-q", "b", "--seed", "9" * 30], 2, "a seed must be"),
        (["measure", "-q", "b", "--device", "meta"], 2, "not to be had"),
        (["demo", "evaluate", "--folder", "nowhere"], 2, "no model in 'nowhere'"),
        (["demo"], 2, "--help"),
        (["no-such-session.json"], 2, "no-such-session.json"),
        (["--no-such-option"], 2, "--help"),
        (["a.json", "-q", "b"], 2, "give one of them"),
        (["--layers", "last"], 2, "go with a prompt"),
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

    monkeypatch.setattr("icltui.headless.load", interrupt)
    assert main(["measure", "-q", "b"]) == 130
