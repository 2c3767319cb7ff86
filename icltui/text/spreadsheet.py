"""Tables for spreadsheets: no text in them is taken for a formula, and :func:`read_csv` returns it as it was.

A single quote is put before a cell that begins as a formula does, and double quotes around every text that is no word,
as https://owasp.org/www-community/attacks/CSV_Injection has it; numbers stay numbers. :func:`read_csv` takes the quote
off again, which is unambiguous, since a text that has quotes of its own before such a beginning gets one too.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable
from itertools import takewhile

Cell = str | int | float | None


def write_csv(rows: Iterable[Iterable[Cell]]) -> str:
    """A line for each row; None is an empty cell."""
    return "".join(",".join(map(_csv_cell, row)) + "\n" for row in rows)


def read_csv(text: str) -> list[list[str]]:
    """The cells of what :func:`write_csv` wrote, texts as they were; numbers are texts too."""
    return [[_as_it_was(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


def write_tsv(rows: Iterable[Iterable[Cell]]) -> str:
    """A line for each row with tabs between the cells, which hold neither tabs nor line ends: for a clipboard."""
    return "".join("\t".join(map(plain, row)) + "\n" for row in rows)


def plain(cell: Cell) -> str:
    """The cell's text, which no spreadsheet computes.

    >>> plain("=1+1"), plain("'tis"), plain(-0.5), plain("－1")
    ("'=1+1", "'tis", '-0.5', "'－1")
    """
    if not isinstance(cell, str):
        return "" if cell is None else str(cell)
    return f"'{cell}" if _is_formula(cell) else cell


def _csv_cell(cell: Cell) -> str:
    text = plain(cell)
    if not isinstance(cell, str) or text.isidentifier():
        return text
    # Other separators than the comma count where the decimal point is one.
    return '"' + text.replace('"', '""') + '"'


def _as_it_was(text: str) -> str:
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may compute the text, quotes at its beginning aside.

    Wide, small and raised forms count, since some fold them into the plain ones, and so does what comes after
    characters that are not seen, since some drop them.
    """
    text = text.lstrip("'")
    blanks = "".join(takewhile(_is_unseen, text))
    first = unicodedata.normalize("NFKC", text[len(blanks) :][:1])
    return not {"\t", "\r", "\n"}.isdisjoint(blanks) or first.startswith(("=", "+", "-", "@"))


def _is_unseen(character: str) -> bool:
    """Whether it is a space, a control, or one that only says how others are drawn."""
    return character.isspace() or unicodedata.category(character) in ("Cc", "Cf")
