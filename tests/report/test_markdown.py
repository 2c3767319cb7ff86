"""The Markdown report: whole, honest, and not to be broken by any text in it."""

from html import unescape
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from icltui.report.markdown import markdown
from icltui.text.escape import visible
from icltui.text.markdown import block, code, plain
from icltui.values import Run, Session
from icltui.values.prompt import Prompt
from tests.curves_and_heads import CURVES, HEADS
from tests.sessions import A_MEASUREMENT, A_SESSION, TEXTS

PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
BREAKING = (
    "```\n# no heading\n```",
    "a | b",
    "`|`",
    "<b>&amp;</b>",
    "[x](y)",
    "$a$",
    "\\|",
    "````",
    "|",
    " ` ",
)


def report(session: Session) -> str:
    return markdown(session)


def headings(text: str) -> list[str]:
    tokens = PARSER.parse(text)
    return [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]


def test_every_part_and_the_sentence_on_what_is_no_news():
    text = report(A_SESSION)
    assert headings(text) == [
        "capital-conflict",
        "Prompt",
        "Model",
        "Measures",
        "Lanes",
        "Patch",
        "Verification",
    ]
    for words in (
        "Context (2 tokens)\n\n```text\nThe capital of France is Rome.\n\n```",
        "- `demo`, `Qwen3ForCausalLM`",
        "fingerprint `abc`",
        "float32 on cpu",
        "one packed pass",
        "**The units with the largest ‖δ‖ at layer 1**",
        "**Where the most probable next token changes**: nowhere.",
        "**Query + ΔW · 2 of 2 tokens as with the context**",
        "note: identity\\_error is a tautology; the logits are not",
        "noise floor 1e-06",
        "| `control: random` | 4 | 2.5 | 9 | no |",
        "session of 2025-01-02T03:04:05+00:00.",
    ):
        assert words in text


def test_the_runs_before_and_what_the_user_said_of_them():
    before = msgspec.structs.replace(A_SESSION, runs=(), run=None)
    runs = (Run(number=1, session=before), Run(number=3, parent=1, note="a | b\n", session=before))
    text = report(msgspec.structs.replace(A_SESSION, runs=runs))
    assert "| 1 | · | `The capital of France is` | `per-step, ΔW and Δb` |  |" in text
    assert "| 3 | 1 | `The capital of France is` | `per-step, ΔW and Δb` | <code>a &#124; b⏎</code> |" in text


def test_what_is_missing_is_said():
    text = report(Session(created="", prompt=Prompt(context="a", query="b")))
    assert "Not in this session: measures, lanes, proof." in text
    assert headings(text) == ["icltui session", "Prompt"]


def test_a_flip_is_told_with_both_answers():
    first, *others = A_MEASUREMENT.predictions
    flipped = msgspec.structs.replace(first, top=first.top[::-1])
    measurement = msgspec.structs.replace(A_MEASUREMENT, predictions=(flipped, *others))
    text = report(msgspec.structs.replace(A_SESSION, measurement=measurement))
    assert "| 1 | `The` | `·Paris` | 0.125 | `·Rome` | 0.75 |" in text


def test_long_tables_are_folded():
    assert "<details>" not in report(A_SESSION)
    tokens = A_MEASUREMENT.tokens
    units = tuple(msgspec.structs.replace(tokens.units[0], index=i) for i in range(1, 31))
    rows = tuple(
        msgspec.structs.replace(row, unit=unit)
        for unit in range(31)
        for row in A_MEASUREMENT.rows
        if row.unit == 1
    )
    many = msgspec.structs.replace(
        A_MEASUREMENT, tokens=msgspec.structs.replace(tokens, units=units), rows=rows, pairs=()
    )
    text = report(msgspec.structs.replace(A_SESSION, measurement=many))
    assert "<details><summary>Each unit at layer 1: 31 rows</summary>\n\n| # | unit |" in text


def test_loss_curves_and_heads_are_in_it():
    text = report(msgspec.structs.replace(A_SESSION, curves=CURVES, heads=HEADS))
    assert headings(text)[-2:] == ["Curves", "Heads"]
    for words in (
        "ICL score: loss at 3–4 less that at 1–2",
        "**Previous-token heads: ",
        "δ at the query's last token",
    ):
        assert words in text
    assert "\x1b" not in text


@pytest.mark.parametrize("text", BREAKING)
def test_a_code_span_in_a_table_shows_the_text_and_keeps_the_table(text):
    html = PARSER.render(f"| a | b |\n| :--- | ---: |\n| {code(text)} | 2 |")
    assert html.count("<td") == 2
    shown = html.split("<code>")[1].split("</code>")[0]
    assert unescape(shown).strip() == visible(text).strip()


@pytest.mark.parametrize("text", BREAKING)
def test_a_block_is_one_block(text):
    kinds = [token.type for token in PARSER.parse(f"{block(text)}\n\nbehind")]
    assert kinds == ["fence", "paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("text", [*BREAKING, "# no heading", "- no list", "*no* stress"])
def test_plain_words_stay_words(text):
    (paragraph,) = (token for token in PARSER.parse(plain(text)) if token.type == "inline")
    assert {child.type for child in paragraph.children} <= {"text", "text_special"}
    assert "".join(child.content for child in paragraph.children).strip() == visible(text).strip()


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_no_text_adds_or_takes_a_section(context, title):
    session = msgspec.structs.replace(
        A_SESSION, title=title, prompt=Prompt(context=context, query=title or "q")
    )
    assert headings(report(session))[1:] == ["Prompt", "Model", "Measures", "Lanes", "Patch", "Verification"]
