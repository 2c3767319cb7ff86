"""Markdown's own marks: text of any origin as a code span, a block or plain words, and tables, none of it broken."""

import html
import re

from rich.table import Table

from icltui.text.escape import visible

_FOLDED = 24
"""A table of more rows is folded up: it opens at a click, and a reader of the source passes it by."""
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>|~$&!])")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_LEADING = re.compile(r"^([-+=#])")


def plain(text: str) -> str:
    """``text`` on one line, as words and never as marks.

    >>> plain("a *b* | <c>")
    'a \\\\*b\\\\* \\\\| \\\\<c\\\\>'
    """
    return _LEADING.sub(r"\\\1", _cell(text))


def _cell(text: str) -> str:
    """``text`` as words inside a line, where no list or heading can begin."""
    return _ACTIVE.sub(r"\\\1", visible(text))


def code(text: str) -> str:
    """``text`` on one line as a code span, also inside a table, where a bar would end the cell.

    >>> code("a`b"), code("a|b")
    ('`` a`b ``', '<code>a&#124;b</code>')
    """
    text = visible(text)
    if not text:
        return ""
    if "|" in text:
        return f"<code>{_PUNCTUATION.sub(lambda mark: f'&#{ord(mark[0])};', text)}</code>"
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if "`" in text or text != text.strip(" ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(text: str) -> str:
    """``text`` as a block of code, its line ends kept; what does not print is written out."""
    lines = "\n".join(map(visible, text.split("\n")))
    fence = "`" * max(3, _longest_run(lines) + 1)
    return f"{fence}text\n{lines}\n{fence}"


def table(title: str, made: Table, *, in_words: bool = False) -> str:
    """A table under its title: texts as code, since they are tokens, or ``in_words``; numbers to the right."""
    columns = made.columns
    head = [_cell(str(column.header)) for column in columns]
    rule = ["---:" if column.justify == "right" else ":---" for column in columns]
    cells = [
        [(_cell if in_words or column.justify == "right" else code)(str(cell)) for cell in column.cells]
        for column in columns
    ]
    rows = "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *zip(*cells, strict=True)))
    if made.row_count <= _FOLDED:
        return f"**{plain(title)}**\n\n{rows}"
    summary = f"<summary>{html.escape(visible(title))}: {made.row_count} rows</summary>"
    return f"<details>{summary}\n\n{rows}\n\n</details>"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
