"""Any text at all in what the headless commands print: nothing of it reaches the terminal as it is.

Each report is one line of ``REPORTS``.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from icltui.report import export, generate, measure_json_csv, patch_comparison, replay, verify, zoo
from icltui.report.markdown import markdown
from icltui.report.measure_tables import measure_table
from icltui.values import Difference, ExportReport, Replay, SectionReplay, Session, ZooRow
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.hostile import TEXTS, TOKENS, cells_of, poisoned
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_VERIFICATION, REFUSING

PROMPT = Prompt(query="is")
EXPORTED = ExportReport(
    format="peft", files=("a",), rank=1, n_tensors=2, left_out=("b",), notes=("c",), largest_difference=0.1
)
REPLAYED = Replay(
    same=False,
    held_to="float32",
    notes=("torch",),
    sections=(
        SectionReplay(
            section="generation",
            same=False,
            n_numbers=0,
            n_others=1,
            fields=(),
            differences=(Difference(kind="changed", at="here", saved="this", recomputed="that"),),
        ),
    ),
)
ZOO = ZooRow(family="llama", model_class="Llama", notes=("odd",))
Say = Callable[[Callable[[Any], Any], int], str]

TABLES: dict[str, Say] = {
    "measure": lambda bad, width: measure_table(bad(REFUSING), bad(PROMPT), bad(A_MEASUREMENT), width),
    "verify": lambda bad, width: verify.verify_table(bad(REFUSING), bad(A_VERIFICATION), width),
    "zoo": lambda bad, width: zoo.zoo_table([bad(ZOO)], width),
    "generate": lambda bad, width: generate.generate_text(bad(REFUSING), bad(A_GENERATION), width),
    "each": lambda bad, width: generate.generate_each_text(
        bad(REFUSING), [bad(PROMPT).query], [bad(A_GENERATION)], width
    ),
    "patches": lambda bad, width: patch_comparison.patches_table(
        [(bad(PROMPT).query, bad(PROMPT).context, bad(A_GENERATION))], width
    ),
    "export": lambda bad, width: export.export_text(bad(Recipe()), bad(EXPORTED), width),
    "replay": lambda bad, width: replay.replay_text(bad(REPLAYED), width),
    "markdown": lambda bad, _: markdown(
        Session(
            title=bad(PROMPT).query,
            prompt=bad(PROMPT),
            model=bad(REFUSING),
            measurement=bad(A_MEASUREMENT),
            generation=bad(A_GENERATION),
            verification=bad(A_VERIFICATION),
        )
    ),
}
"""For people: every line is printable."""
UNWRAPPED = ("markdown",)
DOCUMENTS: dict[str, Say] = {
    "measure": lambda bad, _: measure_json_csv.measure_json(bad(REFUSING), bad(PROMPT), bad(A_MEASUREMENT)),
    "verify": lambda bad, _: verify.verify_json(bad(REFUSING), bad(PROMPT), bad(A_VERIFICATION)),
    "generate": lambda bad, _: generate.generate_json(bad(REFUSING), bad(PROMPT), bad(A_GENERATION)),
    "zoo": lambda bad, _: zoo.zoo_json([bad(ZOO)]),
    "export": lambda bad, _: export.export_json(bad(Recipe()), bad(EXPORTED)),
    "replay": lambda bad, _: replay.replay_json(bad(REFUSING), bad(REPLAYED)),
}
"""For scripts: JSON that says the texts to the letter, and that a terminal does not obey either."""

PHASES = (Phase.explicit, Phase.generate)
LISTS = st.lists(TEXTS, min_size=1, max_size=5)


def check(say: Callable[[list[str], int], None], n_texts: int) -> None:
    """Of these texts and any others."""
    given(LISTS, st.integers(1, 200))(
        settings(
            max_examples=n_texts * 10, deadline=None, database=None, derandomize=n_texts < 10, phases=PHASES
        )(example(list(TOKENS), 110)(say))
    )()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_shows_any_text_on_lines_that_print(name: str, pytestconfig: pytest.Config) -> None:
    def holds(texts: list[str], width: int) -> None:
        for line in TABLES[name](lambda value: poisoned(value, texts), width).split("\n"):
            n_cells = cells_of(line)
            assert name in UNWRAPPED or n_cells <= max(width, 80) or " " not in line.strip()

    check(holds, pytestconfig.getoption("texts"))


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_holds_any_text_and_a_terminal_obeys_none(name: str, pytestconfig: pytest.Config) -> None:
    def holds(texts: list[str], width: int) -> None:
        text = DOCUMENTS[name](lambda value: poisoned(value, texts), width)
        assert not [
            c for c in text if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2067")
        ]
        text.encode("utf-8")
        json.loads(text)

    check(holds, pytestconfig.getoption("texts"))


@pytest.mark.timeout(0)
def test_a_line_of_csv_holds_any_text(pytestconfig: pytest.Config) -> None:
    def holds(texts: list[str], width: int) -> None:  # noqa: ARG001
        text = measure_json_csv.measure_csv(poisoned(A_MEASUREMENT, texts))
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) == 1 + len(A_MEASUREMENT.rows)
        for line in text.splitlines():
            cells_of(line)

    check(holds, pytestconfig.getoption("texts"))
