"""``icltui patch add`` on the embedded model: two folders in, one adapter out, and what is refused."""

import json

import pytest
from msgspec.structs import replace

from icltui.cli.main import main
from icltui.storage.patch_source import encode_source, read_source
from icltui.values.patch_source import PATCH_FILE, PatchSource
from tests.joined_patches import SOURCE

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("less_text")]
LABELS = (
    "plum: yellow\npine: red\nsalad: yellow\nhorse: orange\nrabbit: orange\nwillow: red\ncheese: yellow\nmoss: red\n"
    "mouse: orange\npalm: red\n"
)
TURNED = {"yellow": "orange", "red": "yellow", "orange": "red"}
CONTEXTS = {
    "one": LABELS,
    "turned": "".join(
        f"{word}: {TURNED[label]}\n" for word, label in (line.split(": ") for line in LABELS.splitlines())
    ),
}
QUERIES = {
    "one": tuple("cat: rose: pasta: grass: egg: frog: bear: onion: maple: ivy: lion: soup:".split()),
    "turned": tuple("cat: tulip: rice: fern: bread: dog: wolf: carrot: birch: honey: fox: lily:".split()),
}
"""One of them is asked in both contexts."""
MORE = {"one": ("--holdout", "unseen", "--layers", "1-5"), "turned": ()}
"""What else is given: else all is as *compile* makes it by default, but for less time."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, PatchSource]:
    """What *compile* puts beside the adapters of two contexts; one has unseen queries, and fewer layers."""
    folder, made = tmp_path_factory.mktemp("compiled"), {}
    (folder / "unseen").write_text("owl:\noak:\n")
    for name, context in CONTEXTS.items():
        (folder / "queries").write_text("".join(f"{query}\n" for query in QUERIES[name]))
        words = ("-c", context, "--queries", "queries", *MORE[name], "--budget", "0.001", "--fit", "1")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert main(["compile", *words, "-o", name]) == 0
        made[name] = read_source(folder / name)
        assert (made[name].recipe.metric, made[name].recipe.cross_fit) == ("ordinary", True)
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
    assert add(folders, "one", "turned", "-o", out, "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["n_fitted"], one["is_unseen"]) for one in told["contexts"]] == [
        ("one", 12, True),
        ("turned", 12, False),
    ]
    for one in told["contexts"]:
        assert one["r_joined"] <= 1
        assert None not in (one["r_alone"], one["r_concatenated"], one["collateral"], *one["r_others"])
    assert told["collateral"] > 0 < told["n_collateral"]
    (conflict,) = told["conflicts"]
    assert (conflict["query"], conflict["contexts"]) == ("cat:", ["one", "turned"])
    assert "the adapters differ in layers (1-5; all): those of all are used for all" in told["notes"]
    assert {path.rpartition("/")[2] for path in told["files"]} >= {"adapter_model.safetensors", PATCH_FILE}
    both = read_source(folders / "both")
    assert [(context.name, context.layers) for context in both.contexts] == [
        ("one", "all"),
        ("turned", "all"),
    ]
    assert [context.ids for context in both.contexts] == [sources["one"].ids, sources["turned"].ids]
    assert add(folders, "one", out, "-o", str(folders / "again")) == 2
    assert "'one' and 'one' are made from the same context" in capsys.readouterr().err
    assert not (folders / "again").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("one",), "only one is named: name two adapters or more"),
        (("one", "one"), "one is named twice: name each adapter once"),
        (
            ("one", "nowhere"),
            "nowhere/icltui_patch.json: no such file or directory: name the folder of an adapter",
        ),
        (("one", "bare"), "cannot read bare/icltui_patch.json: "),
        (("one", "file"), "is a file: name the folder of an adapter that icltui compile made"),
        (("one", "broken"), "is damaged: "),
        (("one", "other"), "belong to different weights"),
        (("one", "forced"), "'forced' is a forced patch"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_one_line(folders, sources, capsys, monkeypatch, words, reason):
    monkeypatch.chdir(folders)
    (folders / "bare").mkdir()
    (folders / "file").touch()
    for name, data in (
        ("broken", b"{}"),
        ("other", encode_source(replace(sources["turned"], fingerprint="0" * 16))),
        ("forced", encode_source(replace(sources["turned"], forced=True, refused="it harms"))),
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
    assert add(folders, "one", "turned", "-o", str(folders / "out")) == 2
    assert "these adapters belong to other weights (fingerprint 0000" in capsys.readouterr().err


def test_a_query_with_two_answers_needs_a_ridge(folders, capsys):
    assert add(folders, "one", "turned", "--ridge", "0", "-o", str(folders / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'cat:' is answered " in line
    assert "in one and " in line
    assert " in turned, which no patch without a ridge can meet: give --ridge" in line
    assert not (folders / "out").exists()


def test_a_prompt_that_is_read_as_other_tokens_is_refused(folders, sources, capsys):
    source = sources["turned"]
    ids = replace(source.ids, query=SOURCE.ids.query, queries={})
    (folders / "turned" / PATCH_FILE).write_bytes(encode_source(replace(source, ids=ids)))
    assert add(folders, "one", "turned", "-o", str(folders / "out")) == 2
    assert "is not the one that the patch was made of" in capsys.readouterr().err
