"""What a model wrote as a query: cleaned, or dropped with the reason."""

import pytest

from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.written_text import Dropped, check_query, without_markup
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.prompt import Prompt

CONTEXT = "plum: yellow\npine: red\n"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Who is Mia?", "Who is Mia?"),
        ('  "Who is Mia?" ', "Who is Mia?"),
        ('1. **Question:** "Who is Mia?"', "Who is Mia?"),
        ("Q2: - (3) Who is Mia?", "Who is Mia?"),
        ("### Who is *Mia*?", "Who is *Mia*?"),
        ("1984 was what?", "1984 was what?"),
        ("**\n", ""),
        ("", ""),
    ],
)
def test_a_question_loses_what_is_written_around_it(text: str, question: str) -> None:
    assert without_markup(text) == question.strip()


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("?!", "empty"),
        ("word " * 200, "too long"),
        ("a\x1b[31mred", "not plain text"),
        ("a\x00b", "not plain text"),
        ("a\u202ered", "not plain text"),
        ("a\ufffdb", "not plain text"),
        ("half \ud83d a character", "not plain text"),
        ("Seen:", "written twice"),
        ("  seen: ", "written twice"),
        (f"Read this: {CONTEXT}apple:", "with the whole context in it"),
        ("PLUM:  yellow\n\npine: red apple:", "with the whole context in it"),
        ("apple<|bos|>:", "not what its tokens spell"),
        ("word\n" * 30, None),
        ("ख़ुश\u200dबू 🐈\u200d⬛:", None),
        ("apple:", None),
    ],
)
def test_what_cannot_be_a_query_is_dropped_with_the_reason(
    demo: LoadedModel, query: str, reason: str | None
) -> None:
    reader = ContextReader(demo, Prompt(context=CONTEXT))
    if reason is None:
        check_query(reader, query, ["seen:"])
        return
    with pytest.raises(Dropped, match=reason) as caught:
        check_query(reader, query, ["seen:"])
    assert caught.value.reason == reason


def test_a_query_beyond_the_models_window_is_dropped(demo: LoadedModel) -> None:
    reader = ContextReader(demo, Prompt(context="a b " * 500))
    with pytest.raises(Dropped, match="not what its tokens spell"):
        check_query(reader, "word " * 40, [])
