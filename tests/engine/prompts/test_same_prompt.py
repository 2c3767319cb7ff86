"""One text can be two prompts: a chat template that writes the time, or is edited under the same weights."""

import pytest
from safetensors.torch import load_file

from icltui.api.messages import (
    Export,
    Generate,
    GenerateEach,
    GenerationEnded,
    Measure,
    PromptTokenized,
    Verify,
)
from icltui.engine.local import LocalEngine
from icltui.values import Generation, PromptIds
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import make_tiny

PROMPT = Prompt(context="abc ", query="def", chat=True)
RECIPES = [
    Recipe(mode="frozen"),
    Recipe(mode="compiled", n_fitted=1, queries=("x", "yz"), control="other", other_context="gh "),
]
THEN, NOW = "at 08:00 [{{ messages[0].content }}]", "at 21:30, [{{ messages[0].content }}]"


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    loaded = make_tiny("llama")
    return LocalEngine(loaded, loaded.describe("packed"))


def run(engine, request, template):
    engine.loaded.tokenizer.chat_template = template
    return list(engine.run(request, lambda: False))


def generated(engine, recipe, template) -> Generation:
    request = Generate(prompt=PROMPT, recipe=recipe, n_tokens=1)
    return next(e.generation for e in run(engine, request, template) if isinstance(e, GenerationEnded))


def export(engine, folder, template, recipe, ids):
    path = folder / f"{len(list(folder.iterdir()))}.safetensors"
    request = Export(prompt=PROMPT, recipe=recipe, format="factors", path=str(path), ids=ids)
    return run(engine, request, template)[-1].report, load_file(path)


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


def test_every_result_keeps_what_the_prompt_was(engine):
    wanted = generated(engine, Recipe(), THEN).ids
    assert wanted.prefix == tuple(
        engine.loaded.tokenizer("at 08:00 [", add_special_tokens=False)["input_ids"]
    )
    (verified,) = run(engine, Verify(prompt=PROMPT), THEN)[-1:]
    assert verified.verification.ids == wanted
    (tokens,) = [
        e.tokens for e in run(engine, Measure(prompt=PROMPT), THEN) if isinstance(e, PromptTokenized)
    ]
    assert tokens.ids == wanted
    once = Recipe(mode="compiled", n_fitted=1)
    each = GenerateEach(prompt=PROMPT, queries=("def", "x", "yz"), n_tokens=1, recipe=once)
    found = [e.generation.ids for e in run(engine, each, THEN) if isinstance(e, GenerationEnded)]
    assert found[0] == wanted
    assert {ids.prefix for ids in found} == {wanted.prefix}
    assert len({ids.query for ids in found}) == 3


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.mode)
def test_an_export_is_the_patch_of_the_prompt_then(engine, tmp_path, recipe):
    ids = generated(engine, recipe, THEN).ids
    then, wanted = export(engine, tmp_path, THEN, recipe, ids)
    assert then.notes == ()
    report, found = export(engine, tmp_path, NOW, recipe, ids)
    assert same(found, wanted)
    (note,) = report.notes
    assert note.startswith(
        "the chat template writes another header by now (other tokens before the text (10 then, 11 now))"
    )
    unknown, other = export(engine, tmp_path, NOW, recipe, None)  # a session of an older program
    assert unknown.notes == ()
    assert not same(other, wanted)


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("at 08:00 [{{ messages[0].content }}] now", "other tokens of the query \\(4 then, 8 now\\)"),
        ("at 08:00, [{{ messages[0].content }}].", "other tokens of the query \\(4 then, 5 now\\)"),
    ],
)
def test_an_export_of_another_text_is_refused(engine, tmp_path, template, what):
    ids = generated(engine, RECIPES[0], THEN).ids
    with pytest.raises(BadInput, match=f"not the one that the patch was made of .*{what}.*generate it anew"):
        export(engine, tmp_path, template, RECIPES[0], ids)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "where"), [("yz", "a query that the patch"), ("gh", "the control's context")]
)
def test_so_is_one_whose_recipe_holds_another_text(tmp_path, text, where):
    """The prompt's own tokens are the same."""
    loaded = make_tiny("llama")
    engine = LocalEngine(loaded, loaded.describe("packed"))
    ids = generated(engine, RECIPES[1], THEN).ids
    loaded.tokenizer.add_tokens([text])
    with pytest.raises(BadInput, match=f"other tokens of {where}.*generate it anew"):
        export(engine, tmp_path, THEN, RECIPES[1], ids)
    other = Recipe(mode="compiled", n_fitted=1, queries=("b",))  # of which nothing was kept
    assert export(engine, tmp_path, THEN, other, ids)[0].notes == ()


@pytest.mark.parametrize(
    ("prefix", "words"),
    [((10**6,), "has id 1000000"), ((1,) * 100, "need"), ((-1,), "without a name has id -1")],
)
def test_a_header_that_no_model_reads_is_refused(engine, tmp_path, prefix, words):
    ids = generated(engine, RECIPES[0], THEN).ids
    forged = PromptIds(prefix=prefix, context=ids.context, query=ids.query)
    with pytest.raises(BadInput, match=words):
        export(engine, tmp_path, THEN, RECIPES[0], forged)
