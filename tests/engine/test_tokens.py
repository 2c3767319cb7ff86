"""One tokenisation, split by offset: ids equal in both runs, straddling tokens, units, the kept prefix."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from icltui.demo import MODEL_DIR
from icltui.engine.model import LoadedModel
from icltui.engine.tokens import check_length, pieces, tokenize
from icltui.errors import BadInput
from icltui.prompt import Prompt
from tests.engine.models import tiny


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    """The embedded tokenizer, which merges; no model is needed here."""
    return LoadedModel(None, AutoTokenizer.from_pretrained(MODEL_DIR), (), "demo", None, 20)


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=150, deadline=None)
@given(context=TEXT, query=TEXT.filter(bool), unit=st.sampled_from(["token", "line", "sentence", ";", "a"]))
def test_parts_make_up_the_one_tokenisation(context, query, unit):
    loaded = tiny("llama")
    ids, record = tokenize(loaded, Prompt(context=context, query=query, unit=unit))
    assert ids.full == loaded.tokenizer(context + query)["input_ids"]
    assert ids.plain == [*ids.prefix, *ids.query]
    assert ids.prefix == (0,)
    assert ids.ends[0] == 0
    assert ids.ends[-1] == len(ids.context)
    assert list(ids.ends) == sorted(set(ids.ends))
    assert [unit.tokens for unit in record.units] == [
        b - a for a, b in zip(ids.ends, ids.ends[1:], strict=False)
    ]
    if not record.notes:
        assert "".join(unit.text for unit in record.units) == context
        assert loaded.tokenizer.decode(ids.query) == query


def test_a_straddling_token_is_the_querys_and_said(demo):
    ids, record = tokenize(demo, Prompt(context="The capital of Fra", query="nce is"))
    assert record.query[0].text == " France"
    assert "straddles" in record.notes[0]
    assert ids.full == demo.tokenizer("The capital of France is")["input_ids"]


def test_a_space_between_belongs_to_the_query(demo):
    _, record = tokenize(demo, Prompt(context="The capital of France is Rome.", query=" The capital"))
    assert [t.text for t in record.query] == [" The", " capital"]
    assert record.notes == ()


@pytest.mark.parametrize(
    ("unit", "context", "wanted"),
    [
        ("line", "one two\nthree\n", ["one two\n", "three\n"]),
        ("sentence", "One two. Three! Four", ["One two.", " Three!", " Four"]),
        (";", "a = 1; b = 2; c", ["a = 1;", " b = 2;", " c"]),
        ("line", "", []),
    ],
)
def test_units(demo, unit, context, wanted):
    _, record = tokenize(demo, Prompt(context=context, query=" x", unit=unit))
    assert [u.text for u in record.units] == wanted
    assert [u.index for u in record.units] == list(range(1, len(wanted) + 1))


def test_a_separator_that_never_occurs_is_said(demo):
    _, record = tokenize(demo, Prompt(context="a b c", query=" d", unit="|"))
    assert len(record.units) == 1
    assert "never ends" in record.notes[-1]


@pytest.mark.parametrize(("bos", "prefix"), [("auto", 1), ("always", 1), ("never", 0)])
def test_the_kept_prefix(demo, bos, prefix):
    ids, _ = tokenize(demo, Prompt(context="a", query=" b", bos=bos))
    assert len(ids.prefix) == prefix


@pytest.mark.parametrize(
    "query",
    [
        "",
    ],
)
def test_an_empty_query_is_refused(demo, query):
    with pytest.raises(BadInput, match="the query is empty"):
        tokenize(demo, Prompt(context="a", query=query))


def test_a_row_too_long_says_by_how_much(demo):
    ids, _ = tokenize(demo, Prompt(context="1" * 18, query="2"))
    check_length(demo, ids)
    with pytest.raises(BadInput, match="shorten the context by 2 tokens, or generate 1"):
        check_length(demo, ids, n_more=3)


def test_lone_surrogates_do_not_end_anything():
    ids, _ = tokenize(tiny("llama"), Prompt(context="a\ud800b", query="\udfffc"))
    assert len(ids.full) == len(tiny("llama").tokenizer("a\ufffdb\ufffdc")["input_ids"])


@pytest.mark.parametrize("text", ["[/INST]", "[/]", "\x1b[31mred", "\u202eabc", "👩‍👩‍👧‍👦", "\x00", "日本"])
def test_hostile_text_is_tokenised_like_any_other(text):
    ids, record = tokenize(tiny("llama"), Prompt(context=text, query=text))
    assert ids.context == ids.query
    assert len(record.context) == len(ids.context)


def test_ids_that_the_tokenizer_does_not_know_have_a_text_of_their_own():
    assert [t.text for t in pieces(tiny("llama").tokenizer, (299,))] == ["<299>"]
