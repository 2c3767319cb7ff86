"""``icltui replay`` on the embedded model: what was saved comes out again, and what was tampered with is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from icltui.api import run_to_result
from icltui.api.messages import Generate, LoadModel, Measure, Verify
from icltui.cli import parser
from icltui.cli.main import main
from icltui.cli.replay import check_weights, model_request, run
from icltui.storage.sessions import read_session, write_session
from icltui.values import Curves, PatchReport, Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_SESSION, A_VERIFICATION

PROMPT = ["-c", "The capital of France is Rome.\n", "-q", "The capital of France is", "--layers", "1,4-5"]
COMMANDS = {
    "measurement": ["measure", "--pairs", "--dynamics", "drop", "--reference", "local"],
    "generation": ["generate", "--tokens", "4", "--mode", "compiled", "--fit", "2", "--temperature", "0.7"],
    "verification": ["verify", "--seed", "3"],
}
TEXTS = ["--seed", "5", "--top-k", "40", "--holdout"]

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session with every result, none of them made by the defaults."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "others").write_text("The capital of Spain is\n")
    parts = {}
    for name, words in COMMANDS.items():
        more = [*TEXTS, str(folder / "others")] if name == "generation" else []
        path = folder / f"{name}.json"
        assert main([*words, *PROMPT, *more, "--save", str(path), "-o", str(folder / "out")]) == 0
        parts[name] = read_session(path)
    results = {name: getattr(session, name) for name, session in parts.items()}
    return msgspec.structs.replace(parts["generation"], **results)


@pytest.fixture
def replay(
    saved: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Replay the saved session after ``edit`` has had its file in its hands."""

    def replay(edit: Edit = lambda _document: None, *options: str) -> tuple[int, str, str]:
        path = tmp_path / "saved.json"
        write_session(path, saved)
        document = json.loads(path.read_text())
        edit(document)
        path.write_text(json.dumps(document))
        code = main(["replay", str(path), *options])
        return code, *capsys.readouterr()

    return replay


def test_what_was_saved_comes_out_again(replay: Any) -> None:
    code, out, err = replay()
    assert (code, err) == (0, "")
    first_words = [next(iter(line.split()), "") for line in out.splitlines()]
    assert first_words[-1] == "same"
    header = first_words.index("result")
    assert first_words[header + 1 : header + 4] == [*COMMANDS]
    assert "DIFFERS" not in out


def test_a_number_and_a_token_that_were_tampered_with_are_found(replay: Any) -> None:
    place = []

    def edit(document: dict[str, Any]) -> None:
        rows = document["measurement"]["rows"]
        place.append(max(range(len(rows)), key=lambda k: rows[k]["delta_norm"] or 0.0))
        rows[place[-1]]["delta_norm"] *= 1.01
        document["generation"]["lanes"]["patched"]["token_ids"][1] += 1

    code, out, err = replay(edit, "--format", "json")
    assert (code, err) == (1, "")
    measured, generated, verified = json.loads(out)["sections"]
    assert [field["at"] for field in measured["fields"] if field["n_beyond"]] == [
        f"measurement.rows[{place[0]}].delta_norm"
    ]
    assert measured["differences"] == []
    (difference,) = generated["differences"]
    assert difference["at"] == "generation.lanes.patched.token_ids[1]"
    assert difference["kind"] == "changed"
    assert int(difference["saved"]) == int(difference["recomputed"]) + 1
    assert [section["same"] for section in (measured, generated, verified)] == [False, False, True]


def test_another_prompt_of_the_same_text_is_said(replay: Any) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["measurement"] = None
        for name in ("generation", "verification"):
            document[name]["ids"]["prefix"].append(7)

    code, out, err = replay(edit)
    assert (code, err) == (1, "")
    said = " ".join(out.split())  # however wide the lines are
    assert said.count("note: ") == 1
    assert "note: the prompt is not the session's: other tokens before the text (2 then, 1 now): " in said


def test_a_session_that_does_not_say_what_its_prompt_was_is_replayed(replay: Any) -> None:
    def edit(document: dict[str, Any]) -> None:
        for name in ("generation", "verification"):
            del document[name]["ids"]

    code, out, _ = replay(edit)
    assert code == 0
    assert "is not the session's" not in out


def test_other_versions_and_another_device_are_said_and_not_refused(replay: Any) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["model"]["versions"]["torch"] = "1.0"
        document["model"]["device"] = "cuda:7"
        for name in ("generation", "verification"):
            document[name] = None

    code, out, _ = replay(edit)
    assert code == 0
    assert "note: torch 1.0 when it was saved, " in out
    assert "note: recorded on cuda:7, recomputed on cpu" in out


def test_another_dtype_is_said_and_held_to_its_own_rounding(replay: Any) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["generation"] = document["verification"] = None

    code, out, err = replay(edit, "--dtype", "bfloat16")
    assert (code, err) == (0, "")
    assert "recorded in float32, recomputed in bfloat16" in out
    assert "what rounding in bfloat16 may do" in out


def test_another_model_is_refused_also_where_fingerprints_cannot_tell() -> None:
    half = msgspec.structs.replace(A_MODEL, dtype="bfloat16", fingerprint="xyz")
    check_weights(A_MODEL, A_MODEL)
    check_weights(A_MODEL, half)
    check_weights(A_MODEL, msgspec.structs.replace(A_MODEL, quantize="4bit", fingerprint="xyz"))
    with pytest.raises(BadInput, match=r"fingerprint xyz, saved was abc"):
        check_weights(A_MODEL, msgspec.structs.replace(half, dtype="float32"))
    with pytest.raises(BadInput, match=r"hidden size 64, saved was 8"):
        check_weights(A_MODEL, msgspec.structs.replace(half, hidden_size=64))


def no_results(document: dict[str, Any]) -> None:
    document.update(measurement=None, generation=None, verification=None)


def no_model(document: dict[str, Any]) -> None:
    document["model"] = None


def other_weights(document: dict[str, Any]) -> None:
    document["model"]["fingerprint"] = "0123456789abcdef"


@pytest.mark.parametrize(
    ("edit", "options", "words"),
    [
        (
            no_results,
            [],
            "holds no results to compute again: run measure, generate, verify or compile with --save",
        ),
        (no_model, [], "does not say which model its results come from"),
        (other_weights, [], "saved was 0123456789abcdef: name the session's own with --model and --revision"),
        (other_weights, ["--model", ""], "--model is empty"),
        (other_weights, ["-o", "."], "cannot write '.'"),
        (other_weights, ["--format", "csv"], "--format"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(replay: Any, edit: Edit, options: list[str], words: str) -> None:
    code, out, err = replay(edit, *options)
    assert (code, out) == (2, "")
    assert err.startswith("icltui: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_session_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["replay", str(tmp_path / "none.json")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["replay"]) == 2
    assert "SESSION.json" in capsys.readouterr().err


def test_a_shipped_session_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "sessions" / "contradicted-capital.json"
    assert main(["replay", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "same"


def test_a_model_that_was_moved_is_found_by_its_name(
    saved: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from icltui.storage.paths import MODEL_DIR

    assert saved.model is not None
    gone = msgspec.structs.replace(saved.model, name=str(tmp_path / "gone"))
    write_session(
        tmp_path / "s.json", msgspec.structs.replace(saved, model=gone, generation=None, measurement=None)
    )
    assert main(["replay", str(tmp_path / "s.json")]) == 3
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "s.json"), "--model", str(MODEL_DIR)]) == 0
    assert "the model: " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["--model", "./moved"], {"model": "./moved", "revision": None}),
        (["--dtype", "float32", "--quantize", "8bit"], {"dtype": "float32", "quantize": "8bit"}),
        (["--revision", "v2", "--device", "cpu"], {"revision": "v2", "device": "cpu"}),
    ],
)
def test_the_model_is_loaded_as_it_was_but_for_what_is_given(
    words: list[str], changes: dict[str, str]
) -> None:
    sites = {"mlp": "blocks.{layer}.mlp"}
    model = msgspec.structs.replace(
        A_MODEL, name="org/name", revision="v1", dtype="bfloat16", quantize="4bit", sites=sites
    )
    session = msgspec.structs.replace(A_SESSION, model=model)
    recorded = LoadModel(model="org/name", revision="v1", dtype="bfloat16", quantize="4bit", sites=sites)
    request = model_request(parser.parse(["replay", "s.json", *words]), session, model)
    assert request == msgspec.structs.replace(recorded, **changes)


def test_everything_is_asked_for_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """No choice is lost on the way: else a session could differ from itself, or the default be proved instead."""
    asked = []
    answers = {"measure": A_MEASUREMENT, "generate": A_GENERATION, "verify": A_VERIFICATION}
    for name, answer in answers.items():
        monkeypatch.setattr(
            run_to_result, name, lambda _engine, request, answer=answer: asked.append(request) or answer
        )
    recipe, sampling = Recipe(mode="frozen", alpha="search", seed=4), Sampling(temperature=0.5, seed=9)
    prompt = Prompt(context="a", query="b", positions="keep", bos="never")
    generation = msgspec.structs.replace(
        A_GENERATION,
        recipe=recipe,
        sampling=sampling,
        layers=(1,),
        holdout=("c", "d"),
        patch=PatchReport(n_tokens=1, rank=1, alpha=0.5, curves=Curves()),
    )
    session = msgspec.structs.replace(
        A_SESSION,
        prompt=prompt,
        n_tokens=7,
        measurement=msgspec.structs.replace(A_MEASUREMENT, dynamics="drop", reference="local", layers=(0,)),
        generation=generation,
        verification=msgspec.structs.replace(A_VERIFICATION, seed=8),
    )
    engine: Any = None
    assert not run(engine, session, A_MODEL, A_MODEL).same
    assert asked == [
        Measure(prompt=prompt, layers="0", dynamics="drop", reference="local", pairs=True),
        Generate(
            prompt=prompt,
            layers="1",
            recipe=recipe,
            sampling=sampling,
            n_tokens=7,
            lanes=("context", "plain", "patched"),
            holdout=("c", "d"),
            curves=True,
        ),
        Verify(prompt=prompt, layers="all", seed=8),
    ]
