"""No text in a table is a formula to a spreadsheet, and each is read back as it was."""

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from icltui.report import measure_json_csv
from icltui.report.measure_json_csv import unit_texts
from icltui.report.session_formats import render_session
from icltui.text.escape import token_text
from icltui.text.spreadsheet import read_csv, write_csv, write_tsv
from icltui.tui.draw.clipboard_text import lane_copy, layers_copy, measure_copy, stream_copy
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Measurement
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_SESSION

BEGINNINGS = "=+-@\t\r＝＋－＠"
"""As OWASP lists them."""
UNSEEN = " \u3000\n\0\u200b\ufeff\x7f"
"""What some drop in front."""
FORMULAS = [
    *(f"{first}cmd|'/C calc'!A1" for first in BEGINNINGS),
    *(
        " =1+1",
        "\n=1+1",
        "\u3000@SUM(1)",
        "\0=1+1",
        "\ufeff=1+1",
        "\u200b \x7f@SUM(1)",
        "'=1",
        "''+1",
        "﹦1",
        "⁼1",
        "₋1",
        '="";"x"',
        '=HYPERLINK("http://x","y")',
    ),
    "x;=1+1",
]
PLAIN = ["", "Paris", "'s", "''", "a=b", "1e-3", "·=", "a;b", 'say "x"', "x,y", "−1", "\ud800", "π ✨"]
TEXTS = st.one_of(
    st.sampled_from(FORMULAS + PLAIN),
    st.text(),
    st.builds(
        "".join,
        st.lists(
            st.sampled_from([*BEGINNINGS, "'", '"', ",", ";", " ", "\n", "\0", "\u200b", "a"]), max_size=6
        ),
    ),
)


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=4))
@example([FORMULAS])
@example([PLAIN])
def test_every_text_is_read_back(rows: list[list[str]]) -> None:
    assert read_csv(write_csv(rows)) == rows


@given(TEXTS)
def test_no_text_begins_a_formula_whatever_separates_the_cells(text: str) -> None:
    """Where the decimal point is a comma, semicolons stand between cells."""
    for separator in ",;\t":
        line = write_csv([[text, 0.5]])
        cells = [
            cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row
        ]
        assert not cells[0].lstrip(UNSEEN).startswith(tuple(BEGINNINGS))
        assert len(cells) == (2 if separator == "," else 1)
    copied = "".join(c for c in text if c not in "\t\r\n")  # it is made visible before
    assert not write_tsv([[copied]]).lstrip(UNSEEN).startswith(tuple(BEGINNINGS))


@pytest.mark.parametrize("number", [-0.5, 1e-300, -3, 0, -1e22])
def test_numbers_stay_numbers(number: float) -> None:
    assert write_csv([[number, None, "x"]]) == f"{number},,x\n"
    assert float(read_csv(write_csv([[number]]))[0][0]) == number
    assert write_tsv([[number, None]]) == f"{number}\t\n"


def poisoned(text: str) -> Measurement:
    tokens = replace(
        A_MEASUREMENT.tokens, units=tuple(replace(unit, text=text) for unit in A_MEASUREMENT.tokens.units)
    )
    predictions = tuple(
        replace(each, top=tuple(replace(c, token=replace(c.token, text=text)) for c in each.top))
        for each in A_MEASUREMENT.predictions
    )
    rows = tuple(replace(row, matrix_norms={text: 0.5}) for row in A_MEASUREMENT.rows)
    return replace(A_MEASUREMENT, tokens=tokens, predictions=predictions, rows=rows)


TABLES: dict[str, Callable[[Measurement, str], str]] = {
    "measure": lambda measured, _: measure_json_csv.measure_csv(measured),
    "export": lambda measured, _: render_session(replace(A_SESSION, measurement=measured), "csv").decode(),
}
COPIES: dict[str, Callable[[Measurement, str], str]] = {
    "stream": lambda measured, _: stream_copy(MeasuredUnits.from_measurement(measured), 0),
    "measure": lambda measured, _: measure_copy(
        MeasuredUnits.from_measurement(measured), "delta_norm", (0, 1)
    ),
    "layers": lambda measured, text: layers_copy(
        MeasuredUnits.from_measurement(measured), "delta_norm", 1, {0: True, 1: False}, {}, {1: text}
    ),
}


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_safe_and_comes_back(name: str, text: str) -> None:
    measured = poisoned(text)
    head, *rows = read_csv(TABLES[name](measured, text))
    assert [row[head.index("text")] for row in rows] == [
        unit_texts(measured)[row.unit] for row in measured.rows
    ]
    assert token_text(text) in {row[head.index("token")] for row in rows}
    cells = [cell for row in csv.reader(io.StringIO(TABLES[name](measured, text))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple(BEGINNINGS)) and not is_number(cell)]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("name", COPIES)
def test_every_copied_table_is_safe(name: str, text: str) -> None:
    cells = COPIES[name](poisoned(text), text).replace("\n", "\t").split("\t")
    assert not [cell for cell in cells if cell.startswith(tuple(BEGINNINGS)) and not is_number(cell)]


def test_the_candidates_of_a_copied_lane_are_safe() -> None:
    step = A_GENERATION.lanes["plain"].steps or A_GENERATION.lanes["context"].steps
    top = tuple(replace(each, token=replace(each.token, text="=1+1")) for each in step[0].top)
    assert "'=1+1\t" in lane_copy("plain", (replace(step[0], top=top),))


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
