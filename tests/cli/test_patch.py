"""``icltui patch add`` on the embedded model: two folders in, one adapter out, and what is refused."""

import json

import pytest
from msgspec.structs import replace

from icltui.cli.main import main
from icltui.storage.patch_source import encode_source, read_source
from icltui.values.patch_source import PATCH_FILE, PatchSource
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.joined_patches import SOURCE

QUERIES = {
    "upper": ("big ->", "cold ->", "up ->", "fast ->", "rich ->", "dark ->"),
    "first": ("cat:", "dog:", "sun:", "red:", "big:", "map:"),
}
CONTEXTS = {
    "upper": "hot -> HOT\nlow -> LOW\nold -> OLD\n",
    "first": "pen: p\nfish: f\nhat: h\n",
}


@pytest.fixture(scope="module")
def sources() -> dict[str, PatchSource]:
    """What *compile* would put beside the adapters of two contexts; one has unseen queries."""
    from icltui.api.messages import LoadModel
    from icltui.engine.generate.prepare_request import make_spec
    from icltui.engine.local import LocalEngine

    engine, made = LocalEngine(), {}
    for _ in engine.run(LoadModel(), lambda: False):
        pass
    for name, context in CONTEXTS.items():
        prompt = Prompt(context=context, query=QUERIES[name][0])
        recipe = Recipe(mode="compiled", n_fitted=2, ridge=0.01, queries=QUERIES[name][:4])
        made[name] = PatchSource(
            version="0",
            model=engine.info.name,
            revision=None,
            fingerprint=engine.info.fingerprint,
            dtype=engine.info.dtype,
            prompt=prompt,
            layers="all",
            recipe=recipe,
            ids=make_spec(engine.loaded, prompt, "all", recipe).record,
            holdout=QUERIES[name][4:] if name == "upper" else (),
        )
    return made


@pytest.fixture
def folders(tmp_path, sources):
    for name, source in sources.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / PATCH_FILE).write_bytes(encode_source(source))
    return tmp_path


def add(folder, *words: str) -> int:
    return main(["patch", "add", *(str(folder / word) if word in QUERIES else word for word in words)])


def test_two_adapters_become_one_that_can_be_joined_again(folders, capsys, sources):
    pytest.importorskip("peft")
    out = str(folders / "both")
    assert add(folders, "upper", "first", "-o", out, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["n_fitted"], one["is_unseen"]) for one in told["contexts"]] == [
        ("upper", 4, True),
        ("first", 4, False),
    ]
    for one in told["contexts"]:
        assert one["r_joined"] <= 1
        assert None not in (one["r_alone"], one["r_concatenated"], one["collateral"], *one["r_others"])
    assert told["collateral"] > 0 < told["n_collateral"]
    assert {path.rpartition("/")[2] for path in told["files"]} >= {"adapter_model.safetensors", PATCH_FILE}
    both = read_source(folders / "both")
    assert [context.name for context in both.contexts] == ["upper", "first"]
    assert [context.ids for context in both.contexts] == [sources["upper"].ids, sources["first"].ids]
    (folders / "third").mkdir()
    third = replace(sources["first"], ids=replace(sources["first"].ids, prefix=(1,)))
    (folders / "third" / PATCH_FILE).write_bytes(encode_source(third))
    assert add(folders, "upper", out, "-o", str(folders / "again")) == 2
    assert "'upper' and 'upper' are made from the same context" in capsys.readouterr().err
    assert not (folders / "again").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("upper",), "only upper is named: name two adapters or more"),
        (("upper", "upper"), "upper is named twice: name each adapter once"),
        (
            ("upper", "nowhere"),
            "nowhere/icltui_patch.json: no such file or directory: name the folder of an adapter",
        ),
        (("upper", "bare"), "cannot read bare/icltui_patch.json: "),
        (("upper", "file"), "is a file: name the folder of an adapter that icltui compile made"),
        (("upper", "broken"), "is damaged: "),
        (("upper", "other"), "belong to different weights"),
        (("upper", "forced"), "'forced' is a forced patch"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_one_line(folders, sources, capsys, monkeypatch, words, reason):
    monkeypatch.chdir(folders)
    (folders / "bare").mkdir()
    (folders / "file").touch()
    for name, data in (
        ("broken", b"{}"),
        ("other", encode_source(replace(sources["first"], fingerprint="0" * 16))),
        ("forced", encode_source(replace(sources["first"], forced=True, refused="it harms"))),
    ):
        (folders / name).mkdir()
        (folders / name / PATCH_FILE).write_bytes(data)
    assert main(["patch", "add", *words, "-o", "out"]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert not (folders / "out").exists()


def test_another_models_adapters_are_refused_before_any_work(folders, sources, capsys):
    for name in QUERIES:
        source = replace(sources[name], fingerprint="0" * 16)
        (folders / name / PATCH_FILE).write_bytes(encode_source(source))
    assert add(folders, "upper", "first", "-o", str(folders / "out")) == 2
    assert "these adapters belong to other weights (fingerprint 0000" in capsys.readouterr().err


def test_a_query_with_two_answers_needs_a_ridge(folders, sources, capsys):
    for name, source in sources.items():
        prompt = replace(source.prompt, query="big ->")
        recipe = replace(source.recipe, ridge=0.0, queries=("big ->",))
        ids = replace(source.ids, query=SOURCE.ids.query, queries={})
        made = replace(source, prompt=prompt, recipe=recipe, holdout=(), ids=ids)
        (folders / name / PATCH_FILE).write_bytes(encode_source(made))
    assert add(folders, "upper", "first", "-o", str(folders / "out")) == 2
    said = capsys.readouterr().err
    assert "is not the one that the patch was made of" in said
