"""``icltui export`` on the embedded model: what it prints, what it leaves, and one plain line for whatever is wrong."""

import json

import msgspec
import pytest
from safetensors.torch import load_file

from icltui.cli import parser
from icltui.cli.main import main
from icltui.report.export import export_json, export_text
from icltui.storage.sessions import write_session
from icltui.values import ExportReport, Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.sessions import A_MODEL, HOSTILE

PROMPT = Prompt(
    context="The capital of France is Rome.\nThe capital of Spain is Cairo.\n",
    query="The capital of France is",
)
REPORT = ExportReport(
    format="peft",
    files=("out/adapter_model.safetensors",),
    rank=4,
    n_tensors=36,
    n_compared=9,
    largest_difference=1.5e-5,
    logit_scale=20.0,
    tolerance=1e-4,
    largest_effect=11.0,
    kl_exported=0.25,
    kl_patch=0.125,
    left_out=("ΔW", HOSTILE),
    notes=("mind it",),
)


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def session(tmp_path):
    """A session file with changes."""

    def save(**changes):
        path = tmp_path / "session.json"
        write_session(path, Session(prompt=PROMPT, **changes))
        return str(path)

    return save


def test_peft_says_what_was_written_and_that_a_per_step_patch_became_frozen(capsys, session, tmp_path):
    target = tmp_path / "adapter"
    code, out, err = run(capsys, "export", session(), "--to", "peft", "-o", str(target))
    assert code == 0
    assert err.splitlines() == [
        "icltui: the session's patch is made anew for every token, so the frozen one, of the query's last "
        "token, is exported (--mode compiled fits more tokens)"
    ]
    assert out.startswith("a LoRA adapter for PEFT: rank 1, 36 tensors\n")
    assert "patch: frozen, ΔW and Δb\n" in out
    assert "read back, on 9 tokens: logits differ from the patch's by at most" in out
    assert out.endswith("note: vLLM: --max-lora-rank 1 is needed\n")
    assert len(load_file(target / "adapter_model.safetensors")) == 36


def test_a_control_vector_as_json(capsys, session, tmp_path):
    target = tmp_path / "vector.gguf"
    argv = ["--to", "gguf-control-vector", "-o", str(target), "--mode", "compiled", "--format", "json"]
    code, out, err = run(capsys, "export", session(layers="0-2"), *argv)
    assert (code, err) == (0, "")
    data = json.loads(out)
    report = msgspec.convert(data["report"], ExportReport)
    assert msgspec.convert(data["recipe"], Recipe) == Recipe(mode="compiled")
    assert (report.n_tensors, report.files) == (2, (str(target),))
    assert target.is_file()


@pytest.mark.parametrize(
    ("changes", "argv", "words"),
    [
        (
            {"model": A_MODEL},
            (),
            "this patch belongs to other weights (fingerprint abc, those of 'demo' have ",
        ),
        (
            {"recipe": Recipe(mode="frozen", carrier="bias")},
            (),
            "an adapter of weights cannot hold the shift as a ",
        ),
        ({}, ("-o", "."), ". exists already: give -o another name"),
        ({}, ("--mode", "per-step"), "argument --mode: invalid choice: 'per-step'"),
        ({}, ("--to", "factors"), "argument --to: invalid choice: 'factors'"),
    ],
)
def test_refused_in_one_line(capsys, session, tmp_path, changes, argv, words):
    target = str(tmp_path / "out")
    code, out, err = run(capsys, "export", session(**changes), "--to", "peft", "-o", target, *argv)
    assert (code, out) == (2, "")
    assert words in err
    assert len([line for line in err.splitlines() if "made anew for every token" not in line]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["session.json"]


def test_a_session_without_a_query_is_refused(capsys, tmp_path, monkeypatch):
    path = tmp_path / "empty.json"
    write_session(path, Session(prompt=Prompt(context="a", query="")))
    monkeypatch.setattr(
        "icltui.cli.export.local_engine", lambda: pytest.fail("no model is needed to refuse it")
    )
    code, _, err = run(capsys, "export", str(path), "--to", "peft", "-o", str(tmp_path / "out"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "holds no query, so it has no patch: name a session that was run" in err


@pytest.mark.parametrize("argv", [["s.json"], ["s.json", "--to", "peft"], ["--to", "peft", "-o", "x"]])
def test_what_must_be_given(argv):
    with pytest.raises(BadInput, match=r"is required|arguments are required"):
        parser.parse(["export", *argv])


def test_the_report_for_people():
    lines = export_text(Recipe(mode="frozen", alpha=0.5), REPORT, width=200).splitlines()
    assert lines[:3] == [
        "a LoRA adapter for PEFT: rank 4, 36 tensors",
        "  out/adapter_model.safetensors",
        "patch: frozen, ΔW and Δb, α 0.5",
    ]
    assert lines[3] == (
        "read back, on 9 tokens: logits differ from the patch's by at most 1.5e-05 (largest logit 20, allowed 0.002; "
        "the patch moves them by 11)"
    )
    assert lines[4].startswith("left out: ΔW; ␛[2J")
    assert lines[5] == "note: mind it"
    whole = msgspec.structs.replace(REPORT, left_out=())
    lines = export_text(Recipe(), whole, width=200).splitlines()
    assert lines[4].endswith("0.25 as written and 0.125 with the patch, of which nothing is left out")
    assert json.loads(export_json(Recipe(), REPORT))["report"]["rank"] == 4


def test_factors_are_told_without_what_they_have_none_of():
    report = ExportReport(format="factors", files=("f.safetensors",), rank=1, n_tensors=8)
    lines = export_text(Recipe(mode="frozen"), report).splitlines()
    assert lines == ["the patch's factors: 8 tensors", "  f.safetensors", "patch: frozen, ΔW and Δb"]
