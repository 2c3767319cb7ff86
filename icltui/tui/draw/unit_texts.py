"""A unit's text in a column: cut to its width, or, where units begin alike, from where they differ."""

from itertools import takewhile

from rich.cells import cell_len

from icltui.tui.draw.safe_text import display, fit
from icltui.tui.state.measurement_so_far import MeasuredUnits

LEAST_SHARED = 8
"""Characters that a beginning has in common with a neighbour's before it is left out."""
_NEIGHBOURS = (-2, -1, 1, 2)
"""The lines around one: questions and answers take turns."""


def unit_cell(measured: MeasuredUnits, unit: int, width: int) -> str:
    """The unit's text on exactly ``width`` cells, without the beginning that it shares where all of it has no room."""
    text = measured.unit_text(unit)
    if unit and len(text) > width:
        text = own_part(text, [measured.unit_text(unit + step) for step in _NEIGHBOURS if unit + step > 0])
    return fit(text, width)


def own_part(text: str, neighbours: list[str]) -> str:
    """``text`` from the word on at which it leaves the neighbours that begin like it, after ``…``.

    >>> own_part("The capital of France is Paris", ["The capital of Spain is Madrid", "And so on"])
    '…France is Paris'
    """
    shared = [_n_shared(text, other) for other in neighbours if other != text]
    shared = [text.rfind(" ", 0, n + 1) + 1 for n in shared if LEAST_SHARED <= n < len(text)]
    n = min((n for n in shared if n >= LEAST_SHARED), default=0)
    return f"…{text[n:]}" if n else text


def _n_shared(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def widest_unit(measured: MeasuredUnits) -> int:
    """Cells of the widest text of a unit, the marks of what is invisible counted."""
    units = measured.tokens.units if measured.tokens else ()
    return max((cell_len(display(unit.text)) for unit in units), default=0)
