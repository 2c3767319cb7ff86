"""``icltui compile`` on the embedded model: a context becomes an adapter that is its patch, or is refused."""

import contextlib
import io
import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from icltui.cli import compile as compile_command
from icltui.cli import parser
from icltui.cli.main import main
from icltui.storage.patch_source import read_source
from icltui.storage.sessions import read_session

CONTEXT = (
    "plum: yellow\npine: red\nsalad: yellow\nhorse: orange\nrabbit: orange\nwillow: red\ncheese: yellow\nmoss: red\n"
    "mouse: orange\npalm: red\n"
)
QUERIES = ("cat:", "rose:", "pasta:", "grass:", "egg:", "frog:")
HOLDOUT = ("owl:", "oak:", "bread:")
KEYS = {
    "chosen": {"metric", "epsilon", "ridge", "layers", "components", "rank"},
    "calibration": {"kind", "n_queries", "n_tokens"},
    "unseen": {
        *("n_queries", "n_tokens", "kl", "kl_plain", "r_median", "r_mean", "equal", "equal_plain"),
    },
    "collateral": {"kl", "n_tokens"},
    "leave_one_out": {"r_median"},
}
QUICK = ("--fit", "1", "--budget", "0.001")
"""One way is tried, whatever the machine."""
pytestmark = pytest.mark.usefixtures("less_text")
NONCE = "dax -> wug\nfep -> zib\ntoma -> blick\nkiv -> sont\nmerp -> glag\n"
NONCE_QUERIES = ("dax ->", "fep ->", "toma ->", "kiv ->")
"""None says anything of another one, so a patch made without it speaks of others."""
HARMFUL = ("--alpha", "1", "--metric", "plain", "--ridge", "0.01", "--no-cross-fit", "--layers", "all")


class Ran(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def run(*argv: object) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in argv])
    return Ran(code, out.getvalue(), err.getvalue())


def lines_in(folder: Path, name: str, lines: tuple[str, ...]) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


class Made(NamedTuple):
    """One compile: what it printed, and where everything is."""

    ran: Ran
    folder: Path

    @property
    def document(self) -> dict:
        return json.loads(self.ran.out)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The whole way once; one of the unseen queries is fitted, too."""
    folder = tmp_path_factory.mktemp("compiled")
    queries = lines_in(folder, "queries.txt", QUERIES)
    holdout = lines_in(folder, "holdout.txt", (*HOLDOUT, QUERIES[0]))
    where = ("-o", folder / "adapter", "--save", folder / "s.json", "--format", "json")
    ran = run("compile", "-c", CONTEXT, "--queries", queries, "--holdout", holdout, *QUICK, *where)
    return Made(ran, folder)


def test_it_says_what_it_did_under_the_promised_keys(made: Made) -> None:
    assert made.ran.code == 0, made.ran.err
    document = made.document
    assert document["refused"] is None
    assert document["forced"] is False
    assert document["seconds"] > 0
    for name, keys in KEYS.items():
        assert keys <= document[name].keys(), name
    assert document["calibration"]["kind"] == "user"
    assert document["calibration"]["queries"] == list(QUERIES)
    told = [query["query"] for query in document["queries"] if query["role"] == "unseen"]
    assert told == list(HOLDOUT)
    assert any("1 of the unseen queries is a calibration query too" in note for note in document["notes"])
    assert f"of {len(HOLDOUT)} unseen queries" in document["sentence"]
    assert {Path(name).name for name in document["files"]} == {
        *("README.md", "adapter_config.json", "adapter_model.safetensors", "icltui_patch.json")
    }


def test_the_means_over_unseen_queries_are_those_of_its_table(made: Made) -> None:
    document = made.document
    unseen = [query for query in document["queries"] if query["role"] == "unseen"]
    n_tokens = sum(query["n_tokens"] for query in unseen)
    for name in ("kl", "kl_plain"):
        mean = sum(query[name] * query["n_tokens"] for query in unseen) / n_tokens
        assert document["unseen"][name] == pytest.approx(mean)
    assert document["unseen"]["r_median"] == sorted(query["r"] for query in unseen)[1]
    assert document["unseen"]["n_tokens"] == n_tokens
    for query in document["queries"]:
        assert query["r"] == pytest.approx(1 - query["kl"] / query["kl_plain"])
        assert query["agrees"] == (query["patched"] == query["context"])  # an answer of one token


def test_the_adapter_in_peft_is_the_patch_that_its_session_makes(made: Made) -> None:
    from peft import PeftModel

    from icltui.api.messages import LoadModel
    from icltui.engine.generate.jobs import make_patch
    from icltui.engine.generate.prepare_request import make_spec
    from icltui.engine.local import LocalEngine
    from icltui.engine.measure.forward_pass import forward
    from icltui.engine.patch.decoding import acting

    engine, session = LocalEngine(), read_session(made.folder / "s.json")
    for _ in engine.run(LoadModel(), lambda: False):
        pass
    loaded = engine.loaded
    assert loaded is not None
    with torch.no_grad():
        spec = make_spec(loaded, session.prompt, session.layers, session.recipe, session.holdout)
        built = make_patch(spec, lambda *_args, **_more: None)
        rows = [ids.plain for ids in spec.holdout]
        bare = [forward(loaded.model, row) for row in rows]
        with acting(built.acting_on(built.own)):
            patched = [forward(loaded.model, row) for row in rows]
        adapted = PeftModel.from_pretrained(loaded.model, made.folder / "adapter")
        for row, ours, without in zip(rows, patched, bare, strict=True):
            theirs = adapted(torch.tensor([row])).logits[0, -1]
            assert (theirs - ours).abs().max() < 1e-4 * ours.abs().max()
            assert (theirs - without).abs().max() > 1e-2 * ours.abs().max()


def test_its_session_exports_the_same_adapter_and_replays(made: Made) -> None:
    again = made.folder / "again"
    assert run("export", made.folder / "s.json", "--to", "peft", "-o", again).code == 0
    first, second = (load_file(f / "adapter_model.safetensors") for f in (made.folder / "adapter", again))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    replayed = run("replay", made.folder / "s.json", "--format", "json")
    assert replayed.code == 0, replayed.out
    (section,) = json.loads(replayed.out)["sections"]
    assert section["section"] == "compilation"
    assert section["n_numbers"] > 20


def test_its_session_is_shown_in_markdown(made: Made) -> None:
    assert run("export", made.folder / "s.json", "--to", "md", "-o", made.folder / "s.md").code == 0
    text = (made.folder / "s.md").read_text(encoding="utf-8")
    assert "## Compiled patch" in text
    assert made.document["sentence"] in text.replace("\\", "")


def test_what_it_was_made_from_is_beside_it(made: Made) -> None:
    source, session = read_source(made.folder / "adapter"), read_session(made.folder / "s.json")
    assert source.recipe == session.recipe
    assert source.prompt == session.prompt
    assert source.layers == session.layers
    assert source.ids.queries.keys() == set(QUERIES)
    assert session.model is not None
    assert source.fingerprint == session.model.fingerprint
    assert not source.forced


def test_a_patch_that_harms_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    queries, target = lines_in(tmp_path, "queries.txt", NONCE_QUERIES), tmp_path / "adapter"
    ran = run("compile", "-c", NONCE, "--queries", queries, *QUICK, *HARMFUL, "-o", target)
    assert ran.code == 1, ran.err
    assert "refused, nothing was written: the patch does not carry over" in ran.out
    assert "--force makes it all the same" in " ".join(ran.out.split())
    assert [path.name for path in tmp_path.iterdir()] == ["queries.txt"]


def test_forced_it_is_written_and_marked_everywhere(tmp_path: Path) -> None:
    queries, target, saved = (
        lines_in(tmp_path, "q.txt", NONCE_QUERIES),
        tmp_path / "a.gguf",
        tmp_path / "s.json",
    )
    where = ("--to", "gguf-lora", "-o", target, "--save", saved, "--format", "json")
    ran = run("compile", "-c", NONCE, "--queries", queries, *QUICK, *HARMFUL, "--force", *where)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    assert document["forced"] is True
    assert "does not carry over" in document["refused"]
    compilation = read_session(saved).compilation
    assert compilation is not None
    assert compilation.forced
    from gguf import GGUFReader

    source = json.loads(GGUFReader(target).get_field("icltui.patch").contents())
    assert source["forced"] is True
    assert source["recipe"]["queries"] == list(NONCE_QUERIES)


@pytest.mark.soak
def test_forced_it_is_kept_in_a_session_where_no_adapter_is_asked_for(tmp_path: Path) -> None:
    queries, saved = lines_in(tmp_path, "q.txt", NONCE_QUERIES), tmp_path / "s.json"
    ran = run("compile", "-c", NONCE, "--queries", queries, *QUICK, *HARMFUL, "--force", "--save", saved)
    assert ran.code == 0, ran.err
    assert "refused, made all the same, as it was forced" in ran.out
    compilation = read_session(saved).compilation
    assert compilation is not None
    assert compilation.forced
    assert not compilation.files


def test_the_card_of_a_forced_adapter_says_so(tmp_path: Path) -> None:
    from msgspec.structs import replace

    from icltui.engine.export.adapter_base_model import Base, write_card

    base = Base("x", None, None, "f", "C", "float32")
    source = replace(_source(), forced=True, refused="it harms `all`")
    write_card(tmp_path, base, source)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "**Forced:** it harms  all ." in card
    assert "icltui_patch.json" in card
    write_card(tmp_path, base)
    assert "icltui_patch.json" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def _source():
    from icltui.values import PromptIds
    from icltui.values.patch_source import PatchSource
    from icltui.values.prompt import Prompt
    from icltui.values.recipe import COMPILED

    ids = PromptIds(prefix=(), context=(1,), query=(2,))
    return PatchSource(
        version="0",
        model="m",
        revision=None,
        fingerprint="f",
        prompt=Prompt(context="c", query="q"),
        layers="all",
        recipe=COMPILED,
        ids=ids,
    )


def test_an_answer_after_a_tab_is_no_part_of_a_query(tmp_path: Path) -> None:
    queries = lines_in(tmp_path, "queries", ("cat:\t orange", "rose:", "egg\t"))
    holdout = lines_in(tmp_path, "holdout", ("owl:\t orange", "oak:"))
    words = ["compile", "-c", CONTEXT, "--queries", str(queries), "--holdout", str(holdout)]
    request = compile_command._request(parser.parse(words))
    assert request.recipe.queries == ("cat:", "rose:", "egg\t")
    assert request.holdout == ("owl:", "oak:")


def test_the_help_tells_where_a_compilation_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compile", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in (
        "(begins at ordinary)",
        "(begins at 0.001)",
        "(begins at 3)",
        "(begins at 8)",
        "(begins at 1)",
    ):
        assert words in told
    assert "(default plain)" not in told


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-c", ""), "the context is empty"),
        (("-c", " \n"), "the context is empty"),
        (("--queries", "one"), "1 calibration query, at least 2 are needed"),
        (("--queries", "same"), "is the context itself"),
        (("--queries", "none"), "holds no query"),
        (("--calibrate", "user"), "--calibrate user needs --queries FILE"),
        (("--queries", "many", "--calibrate", "self"), "leave one of them out"),
        (("-o", "there"), "exists already"),
        (("-o", "nowhere/adapter"), "in a folder that exists"),
        (("-o", "x", "--save", "x"), "each a place of its own"),
        (("--save", "there"), "exists already"),
        (("--n-queries", "1"), "ask for 2 to 256"),
        (
            ("--queries", "many", "--n-queries", "3"),
            "--n-queries does nothing here: it goes with --calibrate",
        ),
        (("--queries", "many", "--seed", "3"), "--seed does nothing here: it goes with --calibrate self"),
        (("--calibrate", "repeat", "--seed", "3"), "--seed does nothing here: it goes with --calibrate self"),
        (("-o", "-"), "-o - means stdout"),
        (("--budget", "0"), "give more than 0"),
        (("--budget", "nan"), "give more than 0"),
        (("--queries", "many", "--carrier", "bias", "-o", "x"), "cannot hold the shift as a constant"),
        (("--layers", "5-2"), "run backwards"),
        (("--queries", "many", "--layers", "none"), "no layer is selected"),
        (("--queries", "many", "--rank", "5000"), "rank 5000 is more than"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lines_in(tmp_path, "one", ("cat:", "cat:"))
    lines_in(tmp_path, "many", QUERIES)
    lines_in(tmp_path, "none", ("", " "))
    lines_in(tmp_path, "same", ("cat:", "plum: yellow"))
    (tmp_path / "there").touch()
    before = sorted(tmp_path.iterdir())
    context = () if "-c" in words else ("-c", "plum: yellow")
    ran = run("compile", *context, *words)
    assert ran.code == 2, ran.err
    (line,) = ran.err.splitlines()
    assert complaint in line
    assert ran.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_place_that_is_taken_is_refused_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_command, "local_engine", lambda: pytest.fail("an engine was made"))
    (tmp_path / "there").mkdir()
    assert run("compile", "-c", "a", "-o", tmp_path / "there").code == 2


def test_cancelled_while_it_is_tested_it_leaves_nothing(tmp_path: Path) -> None:
    from icltui.api.messages import Compile, CompileEnded, LoadModel, Progress
    from icltui.engine.local import LocalEngine
    from icltui.engine.models.background_thread import wait_until_idle
    from icltui.values.prompt import Prompt
    from icltui.values.recipe import Recipe

    engine, seen = LocalEngine(), []
    for _ in engine.run(LoadModel(), lambda: False):
        pass
    request = Compile(
        prompt=Prompt(context=CONTEXT),
        recipe=Recipe(mode="compiled", n_fitted=1, ridge=0.01, queries=QUERIES[:3]),
        pinned=("metric", "ridge", "epsilon", "layers", "components", "alpha", "rank", "cross_fit"),
        calibrate="user",
        format="gguf-lora",
        path=str(tmp_path / "a.gguf"),
    )

    def should_stop() -> bool:
        return any(isinstance(event, Progress) and event.stage.startswith("testing") for event in seen)

    for event in engine.run(request, should_stop):
        seen.append(event)
    assert should_stop()
    assert not any(isinstance(event, CompileEnded) for event in seen)
    for _ in wait_until_idle():
        pass
    assert not any(path for path in tmp_path.iterdir() if not path.name.startswith(".icltui-"))
