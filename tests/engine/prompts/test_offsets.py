"""Tokenizers of every kind: no character is lost between tokens, and none is counted for two."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icltui.engine.prompts.offsets import encode, fill_gaps
from icltui.engine.prompts.tokenize import tokenize
from icltui.values import Unit
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.engine.prompts.tokenizers_of_all_kinds import KINDS, TWINS, of_kind

_BITS = (
    " ",
    "  ",
    "   ",
    "\n",
    "\n    ",
    "\t",
    "\r\n",
    "a",
    "a  ",
    "x",
    "The cat",
    "; ",
    "日本",
    "é",
    "e\u0301",
    "\u0301",
)
_ODD = (
    "👩‍👩‍👧",
    "\u00a0",
    "\u2028",
    "\u0085",
    "\x0b",
    "ﬁ",
    "½",
    "İ",
    "<s>",
    " <w> ",
    "<w>",
    "<n>",
    "▁",
    "Ġ",
    "\ufeff",
    "\x00",
)
TEXT = st.lists(
    st.sampled_from(_BITS + _ODD) | st.text(st.characters(codec="utf-8"), max_size=2), max_size=8
).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(
    context=TEXT, query=TEXT.filter(bool), unit=st.sampled_from(["token", "line", "sentence", ";", "a", " "])
)
def test_every_character_is_in_one_place(kind, context, query, unit):
    loaded = of_kind(kind)
    whole = loaded.tokenizer.backend_tokenizer.encode(context + query, add_special_tokens=False)
    prompt = Prompt(context=context, query=query, unit=unit)
    ends = _ends(TWINS.get(kind, kind), context + query)
    if not ends or max(ends) <= len(context):
        with pytest.raises(BadInput, match="no tokens of its own"):
            tokenize(loaded, prompt)
        return
    ids, record = tokenize(loaded, prompt)
    assert [*ids.context, *ids.query] == whole.ids
    assert ids.plain == [*ids.prefix, *ids.query]
    assert ids.full == [*ids.prefix, *ids.context, *ids.query]
    assert all(piece.text for piece in record.units)
    if not ids.context:
        assert record.units == ()
        return
    own = [
        "".join(token.text for token in record.context[a:b])
        for a, b in zip(ids.ends, ids.ends[1:], strict=False)
    ]
    straddles = any("straddles context and query" in note for note in record.notes)
    reached = _reached(context, record.units, own)
    assert reached if straddles else len(context) in reached


def _ends(kind: str, text: str) -> list[int]:
    return [end for _, (_, end) in encode(of_kind(kind).tokenizer, text, special=False)[1]]


def _reached(context: str, units: tuple[Unit, ...], own: list[str]) -> set[int]:
    """How far the units' texts, one behind the other, can make up the context.

    A unit of pieces of one character, which its last piece stands for, has the text of its own tokens.
    """
    at = {0}
    for unit, alone in zip(units, own, strict=True):
        there = {k + len(unit.text) for k in at if context.startswith(unit.text, k)}
        at = there | (at if unit.text == alone else set())
    return at


@pytest.mark.parametrize(("trimmed", "untrimmed"), TWINS.items())
@settings(max_examples=40, deadline=None)
@given(context=TEXT, query=TEXT.filter(bool))
def test_what_is_cut_off_an_offset_changes_nothing(trimmed, untrimmed, context, query):
    prompt = Prompt(context=context, query=query)
    assert tokenize(of_kind(trimmed), prompt) == tokenize(of_kind(untrimmed), prompt)


@pytest.mark.parametrize("kind", ["bytes", "bytes, trimmed", "bytes of spaces, trimmed"])
@settings(max_examples=40, deadline=None)
@given(context=TEXT, query=TEXT.filter(bool))
def test_the_query_reads_as_it_was_typed(kind, context, query):
    loaded = of_kind(kind)
    ids, record = tokenize(loaded, Prompt(context=context, query=query))
    if not any("straddles" in note for note in record.notes) and "<w>" not in context + query:
        assert loaded.tokenizer.decode(ids.query) == query


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(header=st.sampled_from(["User:", "User: ", "<u>\n", " "]), context=TEXT, query=TEXT.filter(bool))
def test_in_a_turn_too(kind, header, context, query):
    loaded = of_kind(kind)
    loaded.tokenizer.chat_template = header + "{{ messages[0].content }}\nA:"
    text = header + context + query + "\nA:"
    whole = loaded.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    ids, record = tokenize(loaded, Prompt(context=context, query=query, chat=True))
    assert ids.full == whole.ids
    assert ids.plain == [*ids.prefix, *ids.query]
    if ids.context and not any("straddles" in note for note in record.notes):
        own = [token.text for token in record.context]
        assert len(context) in _reached(context, record.units, own)


def test_the_spaces_of_the_issue():
    """Where a trimmed tokenizer lost the query's space, split elsewhere, or refused a query of spaces."""
    loaded = of_kind("bytes of spaces, trimmed")
    for context, query, wanted in (
        ("", " ab", [" ", "a", "b"]),
        (" ", " ab", ["  ", "a", "b"]),
        ("x\n", "   ", ["\n   "]),
        ("a\n  ", "  b", ["  ", "b"]),
    ):
        _, record = tokenize(loaded, Prompt(context=context, query=query))
        assert [token.text for token in record.query] == wanted


@pytest.mark.parametrize(
    ("body", "borders", "wanted"),
    [
        (
            [(0, 3), (4, 7)],
            [4],
            [(0, 3), (4, 7)],
        ),  # the space between goes to the token in front, up to the border
        ([(0, 3), (4, 7)], [3], [(0, 3), (3, 7)]),
        ([(0, 3), (4, 7)], [], [(0, 3), (3, 7)]),
        ([(0, 3), (7, 9)], [4, 5], [(0, 3), (5, 9)]),
        ([(2, 4)], [], [(0, 4)]),
        ([(2, 4)], [1], [(1, 4)]),
        ([(0, 1), (0, 1), (0, 2)], [], [(0, 1), (0, 1), (0, 2)]),
        ([(0, 2), (1, 1), (0, 1)], [], [(0, 2), (1, 2), (1, 2)]),  # never backwards
    ],
)
def test_gaps_are_closed(body, borders, wanted):
    assert [span for _, span in fill_gaps([(7, span) for span in body], borders)] == wanted
