"""Sentences, texts and tables as HTML that looks right on a light page and on a dark one; no text in it is markup.

It inherits colours and fonts, has no script, no identifier and no style sheet, and so may be anywhere in a page.
"""

import html
from collections.abc import Iterable

from rich.table import Table

from icltui.text.escape import token_text, visible

MOST_ROWS = 60
"""Rows of a table that are shown."""
_CELL = "padding:1px 8px;border:0;text-align:{};white-space:pre-wrap;overflow-wrap:anywhere"
_LINE = "border-bottom:1px solid rgba(127,127,127,.45)"


def plain(text: str) -> str:
    """``text`` on one line, as words and never as markup.

    >>> plain("a <b> & c")
    'a &lt;b&gt; &amp; c'
    """
    return html.escape(visible(text))


class Title(str):
    """A sentence to be seen first."""

    __slots__ = ()


class Block(tuple[tuple[str, bool], ...]):
    """Pieces of one text, whose line ends are kept, and whether each stands out."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(visible, "".join(text for text, _ in self).split("\n")))


def _block(made: Block) -> str:
    pieces = "".join(_marked(text) if stands_out else _lines(text) for text, stands_out in made)
    return f'<div style="white-space:pre-wrap;margin:2px 0 8px 12px;overflow-wrap:anywhere">{pieces}</div>'


def _lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


def _marked(text: str) -> str:
    return f'<span style="background:rgba(213,94,0,.35);border-radius:2px">{html.escape(token_text(text))}</span>'


def table(made: Table) -> str:
    """A table with its heads: numbers to the right, and at most :data:`MOST_ROWS` of its rows."""
    columns = made.columns
    sides = ["right" if column.justify == "right" else "left" for column in columns]
    heads = _row("th", (str(column.header) for column in columns), sides, f";{_LINE}")
    cells = zip(*([str(cell) for cell in column.cells] for column in columns), strict=True)
    rows = [_row("td", row, sides) for row, _ in zip(cells, range(MOST_ROWS), strict=False)]
    left = made.row_count - len(rows)
    rest = f"<div>… and {left:,} more rows</div>" if left > 0 else ""
    style = "border-collapse:collapse;margin:2px 0 8px 0;background:transparent"
    return f'<table style="{style}"><thead>{heads}</thead><tbody>{"".join(rows)}</tbody></table>{rest}'


def page(parts: Iterable[object]) -> str:
    """Tables, titles, blocks and sentences, one below the other."""
    return f'<div style="font-size:90%;line-height:1.35">{"".join(map(_part, parts))}</div>'


def _part(part: object) -> str:
    match part:
        case Table():
            return table(part)
        case Block():
            return _block(part)
        case Title():
            return f"<div><b>{plain(part)}</b></div>"
        case _:
            return f"<div>{plain(str(part))}</div>"


def _row(kind: str, cells: Iterable[str], sides: Iterable[str], more: str = "") -> str:
    inner = (
        f'<{kind} style="{_CELL.format(side)}{more}">{plain(cell)}</{kind}>'
        for cell, side in zip(cells, sides, strict=True)
    )
    return f'<tr style="background:transparent">{"".join(inner)}</tr>'
