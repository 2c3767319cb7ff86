"""``icltui generate`` on the embedded model: every choice of a patch, what is told of it, and what is refused."""

import json

import pytest
import torch
from safetensors import safe_open

from icltui.api.messages import LoadModel, ModelLoaded
from icltui.cli.main import main
from icltui.engine.local import LocalEngine
from icltui.storage.sessions import read_session
from icltui.values.recipe import Recipe

CONTEXT = "dax -> wug\nfep -> zib\ntoma -> blick\nkiv -> sont\nmerp -> glag\n"
PROMPT = ["-c", CONTEXT, "-q", "toma ->"]


class LoadedOnce(LocalEngine):
    """An engine that has the embedded model already, as loading it for each command would take most of the time."""

    def run(self, request, should_stop):
        if isinstance(request, LoadModel) and self.info is not None:
            yield ModelLoaded(model=self.info)
        else:
            yield from super().run(request, should_stop)


@pytest.fixture(scope="module")
def engine():
    return LoadedOnce()


@pytest.fixture(autouse=True)
def _loaded_once(engine, monkeypatch):
    monkeypatch.setattr("icltui.cli.common.local_engine", lambda: engine)


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(["generate", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys, *argv: str):
    code, out, err = run(capsys, *PROMPT, *argv, "--format", "json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.fixture
def queries(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("\ufeffdax ->\n\nfep ->\nkiv ->\r\n")
    return str(path)


@pytest.fixture
def holdout(tmp_path):
    path = tmp_path / "holdout.txt"
    path.write_text("merp ->\n")
    return str(path)


def test_compiled_is_exact_on_its_tokens_and_says_what_it_is_worth_elsewhere(capsys, holdout):
    data = document(capsys, "--mode", "compiled", "--fit", "4", "--tokens", "9", "--holdout", holdout)
    patch = data["patch"]
    ids = [data["lanes"][lane]["token_ids"] for lane in ("context", "patched")]
    assert ids[0][:5] == ids[1][:5]
    assert (patch["n_tokens"], patch["rank"], patch["alpha"]) == (7, 7, 1.0)
    fitted, later, others, behind = patch["tests"]
    assert [test["what"] for test in patch["tests"]] == [
        *("fitted tokens", "later tokens", "other queries", "other queries, later")
    ]
    assert (others["n_tokens"], behind["n_tokens"]) == (5, 8)
    assert fitted["kl"] < 1e-6 < 1 < fitted["kl_plain"]
    assert fitted["equal"] == fitted["n_tokens"] == 5
    assert later["kl"] > 0.01
    assert patch["verdict"].startswith("The patch ")
    assert [fit["layer"] for fit in patch["layers"]] == list(range(6))
    assert all(fit["error"] < 1e-4 and fit["shift_error"] < 1e-4 for fit in patch["layers"])
    assert all(fit["condition"] >= 1 and fit["rank"] == 7 for fit in patch["layers"])
    assert data["recipe"]["n_fitted"] == 4
    assert (data["mode"], data["components"], data["holdout"]) == ("compiled", "both", ["merp ->"])
    steps = data["lanes"]["patched"]["steps"]
    assert [step["token"]["id"] for step in steps] == ids[1]
    assert all(len(step["top"]) == 5 for step in steps)
    assert max(step["kl_to_context"] for step in steps[:5]) < 1e-5


def test_one_patch_for_a_file_of_queries_and_the_curve_of_their_number(capsys, queries):
    data = document(
        capsys, "--mode", "compiled", "--fit", "1", "--queries", queries, "--ridge", "1e-4", "--curves"
    )
    patch = data["patch"]
    assert patch["tests"][0]["n_tokens"] == 3 * 2
    assert data["recipe"]["queries"] == ["dax ->", "fep ->", "kiv ->"]
    assert [test["what"] for test in patch["tests"]] == [
        *("fitted tokens", "later tokens", "other queries", "other queries, later")
    ]
    curves = patch["curves"]
    assert [point["x"] for point in curves["queries"]] == [1, 2, 3]
    assert len(curves["alpha"]) == 21
    assert len(curves["from_bottom"]) == len(curves["from_top"]) == 6
    assert all(point["kl_others"] is not None for curve in curves.values() for point in curve)


def test_the_constant_shift_is_a_choice_and_is_named(capsys):
    code, out, _ = run(capsys, *PROMPT, "--mode", "frozen", "--carrier", "bias", "--tokens", "2")
    assert code == 0
    assert "patch: frozen, ΔW and Δb, the shift as a constant" in out


@pytest.mark.parametrize("alpha", ["search", "jvp"])
def test_a_strength_is_found_and_told_of_other_tokens(capsys, alpha):
    data = document(
        capsys,
        "--mode",
        "frozen",
        "--components",
        "weights",
        "--layers",
        "3",
        "--alpha",
        alpha,
        "--tokens",
        "2",
    )
    assert data["recipe"]["alpha"] == alpha
    assert 0 <= data["patch"]["alpha"] <= 2
    assert data["patch"]["tests"][1]["what"] == "later tokens"


def test_strength_0_is_the_plain_lane(capsys):
    for mode in ("per-step", "frozen", "compiled"):
        data = document(capsys, "--mode", mode, "--alpha", "0", "--tokens", "3")
        plain, patched = data["lanes"]["plain"], data["lanes"]["patched"]
        assert plain == patched | {"steps": plain["steps"]}
        assert [s["top"] for s in plain["steps"]] == [s["top"] for s in patched["steps"]]
        assert data["fit"]["plain"] == data["fit"]["patched"]


def test_lanes_share_their_noise(capsys):
    hot = ["--temperature", "1.2", "--top-k", "50", "--top-p", "0.95", "--seed", "7", "--tokens", "8"]
    data = document(capsys, *hot)
    assert data["lanes"]["patched"]["token_ids"] == data["lanes"]["context"]["token_ids"]
    assert data["sampling"] == {"temperature": 1.2, "top_k": 50, "top_p": 0.95, "seed": 7}
    other = document(capsys, *hot[:-3], "8", "--tokens", "8")
    assert other["lanes"]["context"]["token_ids"] != data["lanes"]["context"]["token_ids"]
    _, out, _ = run(capsys, *PROMPT, *hot)
    assert "sampled at temperature 1.2, top-k 50, top-p 0.95, seed 7, one noise for all lanes" in " ".join(
        out.split()
    )


@pytest.mark.parametrize("control", [["random"], ["shuffled"], ["other", "--other-context", "kiv -> toma\n"]])
def test_controls_miss(capsys, control):
    data = document(capsys, "--mode", "frozen", "--control", *control, "--tokens", "1")
    assert data["fit"]["patched"]["kl"] > 0.1


def test_several_queries_at_once(capsys, queries):
    code, out, err = run(capsys, "-c", CONTEXT, "--each", queries, "--tokens", "3", "--format", "json")
    assert (code, err) == (0, "")
    answers = json.loads(out)["queries"]
    assert [answer["query"] for answer in answers] == ["dax ->", "fep ->", "kiv ->"]
    for answer in answers:
        (data,) = [document(capsys, "-q", answer["query"], "--tokens", "3")]
        for lane, alone in data["lanes"].items():
            together = answer["lanes"][lane]
            assert (together["text"], together["token_ids"]) == (alone["text"], alone["token_ids"])
            for ours, theirs in zip(together["steps"], alone["steps"], strict=True):
                assert ours["top"][0]["probability"] == pytest.approx(
                    theirs["top"][0]["probability"], abs=1e-5
                )
                assert ours["kl_to_context"] == pytest.approx(theirs["kl_to_context"], abs=1e-5)
        assert answer["agreement"]["patched"]["first_difference"] is None
    code, out, _ = run(capsys, "-c", CONTEXT, "--each", queries, "--tokens", "3")
    assert "Query + ΔW: 9 of 9 tokens, 3 of 3 texts as with the context" in " ".join(out.split())


def test_one_compiled_patch_serves_several_queries(capsys, queries, holdout):
    options = ["--mode", "compiled", "--fit", "1", "--queries", queries, "--ridge", "1e-4", "--tokens", "2"]
    _, out, _ = run(capsys, "-c", CONTEXT, "--each", holdout, *options, "--format", "json")
    (answer,) = json.loads(out)["queries"]
    alone = document(capsys, "-q", "merp ->", *options)
    assert answer["lanes"]["patched"]["token_ids"] == alone["lanes"]["patched"]["token_ids"]
    assert answer["patch"]["n_tokens"] == alone["patch"]["n_tokens"]


def test_a_session_keeps_the_recipe_and_what_the_patch_did(capsys, tmp_path, holdout):
    path = tmp_path / "s.json"
    code, _, _ = run(
        capsys,
        *PROMPT,
        "--mode",
        "compiled",
        "--fit",
        "2",
        "--tokens",
        "2",
        "--holdout",
        holdout,
        "--save",
        str(path),
    )
    assert code == 0
    session = read_session(path)
    assert session.recipe == Recipe(mode="compiled", n_fitted=2)
    assert session.holdout == ("merp ->",)
    assert session.generation.patch.tests[2].what == "other queries"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["--mode", "frozen", "--rank", "2"],
            "--rank does nothing in mode 'frozen' with components 'both': it goes with --mode compiled",
        ),
        (["--fit", "2"], "--fit does nothing in mode 'per-step'"),
        (
            ["--carrier", "bias"],
            "--carrier does nothing in mode 'per-step' with components 'both': it goes with --mode frozen or compiled",
        ),
        (["--other-context", "x"], "--other-context does nothing"),
        (["--alpha", "3"], "alpha 3 is out of range: give 0 to 2, search or jvp"),
        (["--alpha", "much"], "argument --alpha: 'much' is not a number: give 0 to 2, search or jvp"),
        (["--alpha", "nan"], "alpha nan"),
        (["--mode", "compiled", "--fit", "-1"], "-1 continuation tokens"),
        (
            ["--mode", "compiled", "--fit", "2", "--rank", "9"],
            "rank 9 is more than 5 fitted tokens can have: give at most 5",
        ),
        (["--mode", "compiled", "--queries", "no/file"], "cannot read 'no/file'"),
        (["--control", "other"], "control 'other' needs another context"),
        (["--top-k", "5"], "do nothing at temperature 0"),
        (["--temperature", "-1"], "temperature -1"),
        (["--temperature", "1", "--top-p", "0"], "top-p 0"),
        (["--with-factors"], "give --save SESSION.json too"),
        (["--with-factors", "--save", "x.json"], "give --mode frozen or compiled"),
        (["--with-factors", "--mode", "frozen", "--save", "x.safetensors"], "is where the factors go"),
        (["--mode", "frozen", "--components", "weights", "--carrier", "bias"], "--carrier does nothing"),
        (["--each", "no/file"], "-q does not go with --each"),
        (["--mode", "compiled", "--fit", "2000"], "positions"),
    ],
)
def test_what_is_wrong_is_one_plain_line(capsys, argv, words):
    code, out, err = run(capsys, *PROMPT, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("icltui: ")
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_file_without_queries_is_refused(capsys, tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("\n \n")
    code, _, err = run(capsys, "-c", "a", "--each", str(path))
    assert code == 2
    assert "holds no query" in err


def test_dependent_tokens_are_refused_with_the_way_out(capsys, tmp_path):
    path = tmp_path / "twice.txt"
    path.write_text("dax ->\ndax ->\n")
    code, _, err = run(capsys, *PROMPT, "--mode", "compiled", "--fit", "1", "--queries", str(path))
    assert code == 2
    assert "depend on the others, so ΔW is not determined: give --ridge, such as 1e-6, or fit fewer" in err


def test_the_factors_lie_beside_the_session(capsys, tmp_path):
    path = tmp_path / "s.json"
    options = ["--mode", "frozen", "--tokens", "1", "--save", str(path), "--with-factors"]
    assert run(capsys, *PROMPT, *options)[0] == 0
    with safe_open(tmp_path / "s.safetensors", "pt") as factors:
        assert factors.metadata()["fingerprint"] == read_session(path).model.fingerprint
        z, dz = factors.get_tensor("layers.0.z")[0], factors.get_tensor("layers.0.dz")[0]
        read, write = (factors.get_tensor(f"layers.0.weights.{name}") for name in ("read", "write"))
    assert torch.allclose(write @ read @ z, dz, atol=1e-5), "ΔW maps z to what the context adds"
    path.unlink()
    code, _, err = run(capsys, *PROMPT, *options)
    assert code == 2
    assert "s.safetensors' exists already: give --save another name" in err
