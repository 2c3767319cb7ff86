"""What all studies share: models by revision, a failing item as a row, rows grouped by model."""

from msgspec.structs import replace

from icltui.api.messages import LoadModel
from icltui.studies.relevance import Relevance, RelevanceRow
from icltui.studies.study import StudySettings, by_model, prompts_for, rows_of_each
from icltui.values import ModelInfo
from icltui.values.errors import BadInput

MODEL = ModelInfo(
    name="gpt2",
    revision="step1",
    fingerprint="f",
    architecture="GPT2LMHeadModel",
    n_layers=2,
    hidden_size=8,
    n_parameters=100,
    dtype="float32",
    device="cpu",
    window=64,
    path="packed",
    versions={},
)


def test_each_revision_is_a_model_and_part_of_the_question():
    load = LoadModel(model="gpt2", revision="main")
    assert StudySettings(load).models() == [load]
    several = StudySettings(load, revisions=("step1", "step2"))
    assert [one.revision for one in several.models()] == ["step1", "step2"]
    assert {one.model for one in several.models()} == {"gpt2"}
    assert Relevance(several).asked() != Relevance(StudySettings(load)).asked()


def test_the_device_is_no_part_of_the_question():
    asked = [Relevance(StudySettings(LoadModel(device=device))).asked() for device in ("cpu", "cuda")]
    assert asked[0] == asked[1]


def test_an_item_that_fails_is_one_row_and_the_next_runs():
    def rows_of(item):
        if item == "bad":
            raise BadInput("too\nlong")
        return [RelevanceRow(key="", context=item), RelevanceRow(key="", context="random")]

    failed, right = rows_of_each(RelevanceRow, MODEL, [("k1", "bad"), ("k2", "relevant")], rows_of)
    assert [(row.key, row.error, row.model, row.revision) for row in failed] == [
        ("k1", "too long", "gpt2", "step1")
    ]
    assert [(row.key, row.part, row.error, row.context) for row in right] == [
        ("k2", 0, None, "relevant"),
        ("k2", 1, None, "random"),
    ]


def test_rows_are_grouped_by_model_and_revision_without_those_that_failed():
    rows = [
        {"model": model, "revision": revision, "error": error}
        for model, revision, error in (
            ("a", None, None),
            ("a", "r", None),
            ("b", None, "too long"),
            ("a", None, None),
        )
    ]
    assert {name: len(some) for name, some in by_model(rows).items()} == {"a": 2, "a r": 1}


def test_the_embedded_model_has_prompts_of_its_own():
    assert prompts_for(MODEL) == "general"
    assert prompts_for(replace(MODEL, name="demo")) == "embedded"


def test_why_rows_have_no_result_is_told():
    rows = [{"error": "too long", "model": "m"}] * 3 + [{"error": "no token", "model": "m"}]
    (table,) = Relevance(StudySettings()).summarise(rows).tables
    assert table.rows == ((3, "too long"), (1, "no token"))


def test_models_are_in_order_whatever_the_order_of_the_rows():
    rows = [{"model": "m", "revision": f"step{step}", "error": None} for step in (4, 16, 1)]
    assert list(by_model(rows)) == ["m step1", "m step4", "m step16"]
