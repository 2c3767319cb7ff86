"""What is kept is said; and where nothing is, what an attention sink rules, and no more than that."""

import json

import pytest
from msgspec.structs import replace

from icltui.report.generate import generate_each_json, generate_json, generate_text
from icltui.report.kept_prefix import kept_lines, ruled_unit
from icltui.report.measure_json_csv import measure_json
from icltui.report.measure_tables import measure_table
from icltui.report.verify import verify_json, verify_table
from icltui.values import Measurement, PromptIds, Sink, Token
from icltui.values.prompt import Prompt
from tests.report import cells_of
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_VERIFICATION

SINK = Sink(position=0, ratio=98.4, layers=(1,))
SINKING = replace(A_MODEL, sink=SINK)
START, USER = Token(id=1, text="<s>"), Token(id=2, text=" user\n")
PROMPT = Prompt(query="is")


def ids(*prefix: Token, n_query: int = 2) -> PromptIds:
    return PromptIds(prefix=tuple(token.id for token in prefix), context=(5,), query=(6,) * n_query)


def measured(*prefix: Token, n_query: int = 1, **changes: object) -> Measurement:
    tokens = replace(A_MEASUREMENT.tokens, prefix=prefix, query=(Token(id=6, text="is"),) * n_query)
    return replace(A_MEASUREMENT, tokens=tokens, **changes)


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [((START,), "<s>"), ((USER,), "·user⏎"), ((START, USER), "2 tokens from <s> on")],
)
@pytest.mark.parametrize("sink", [None, SINK])
def test_what_is_kept_is_said(kept, wanted, sink):
    (line,) = kept_lines(replace(A_MODEL, sink=sink), ids(*kept), kept)
    assert line.startswith(f"kept before the text in both runs: {wanted}")
    assert ("a sink" not in line and "98 times the others'" in line) == (sink is not None)


def test_an_older_record_has_ids_only():
    assert kept_lines(A_MODEL, ids(START), ()) == ["kept before the text in both runs: id 1"]
    assert kept_lines(SINKING, None, ()) == []


def test_nothing_kept_is_no_matter_without_a_sink():
    assert kept_lines(A_MODEL, ids(), ()) == []


@pytest.mark.parametrize(
    ("n_query", "words"), [(1, "the query's only token"), (2, "the query's first token, and a patch")]
)
def test_a_warning_names_what_the_sink_rules(n_query, words):
    (line,) = kept_lines(SINKING, ids(n_query=n_query), ())
    assert line.startswith("warning: nothing is kept before the text")
    assert "(‖v‖ 98 times the others', layers 1)" in line
    assert f"without the context that is {words}" in line


@pytest.mark.parametrize(
    ("dynamics", "n_units", "unit"),
    [
        ("grow", 3, 1),
        ("shrink", 3, 3),
        ("drop", 3, None),
        ("drop", 1, 1),
        ("grow", 0, None),
        ("shrink", 0, None),
    ],
)
def test_the_step_between_a_sink_and_the_context(dynamics, n_units, unit):
    assert ruled_unit(dynamics, n_units) == unit


def marked(measurement: Measurement, model=SINKING) -> list[str]:
    units = cells_of(measure_table(model, PROMPT, measurement), "Each unit at layer 1")
    return [line[0] for line in units[1:] if any(cell.startswith("!") for cell in line)]


def test_only_numbers_at_a_sink_are_marked():
    """A query of several tokens has its last one attend to a sink in both runs."""
    assert marked(measured()) == ["1"]
    assert "! marks" in measure_table(SINKING, PROMPT, measured())
    for other in (measured(n_query=2), measured(START), measured(reference="local")):
        assert marked(other) == []
        assert "! marks" not in measure_table(SINKING, PROMPT, other)
    assert marked(measured(), A_MODEL) == []


def test_scripts_read_both_keys():
    generation = replace(A_GENERATION, kept_prefix=(START,))
    verification = replace(A_VERIFICATION, kept_prefix=(START,))
    for text in (
        measure_json(SINKING, PROMPT, measured(START)),
        verify_json(SINKING, PROMPT, verification),
        generate_json(SINKING, PROMPT, generation),
        generate_each_json(SINKING, PROMPT, ("is",), (generation,)),
    ):
        document = json.loads(text)
        assert document["kept_prefix"] == [{"id": 1, "text": "<s>"}]
        assert document["sink"] == {"position": 0, "ratio": 98.4, "layers": [1]}
    assert json.loads(verify_json(A_MODEL, PROMPT, A_VERIFICATION))["sink"] is None


def test_people_read_it_in_every_report():
    bare = ids()
    for text in (
        verify_table(SINKING, replace(A_VERIFICATION, ids=bare)),
        generate_text(SINKING, replace(A_GENERATION, ids=bare)),
        measure_table(SINKING, PROMPT, measured(n_query=2)),
    ):
        assert "warning: nothing is kept before the text" in text
