"""The names of lines at their ends: none over another, none without its line, whole or counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

_WIDEST = 16


@dataclass(frozen=True)
class LineEnd:
    """A line to be named."""

    name: str
    at: int
    """Which of the figure's lines it is."""
    row: int
    """The line of cells on which it ends."""
    layer: int | None = None


@dataclass(frozen=True)
class LineLabel:
    """A name, or a range of layers, and the line whose colour it has."""

    text: str
    at: int


def labels_width(names: Sequence[str], room: int) -> int:
    """Cells to the right of the plot for the names of its lines, which leave most of ``room`` to the plot."""
    longest = max(map(cell_len, names), default=0)
    wanted = longest if len(names) < 2 or longest > 5 else min(len(names), 3) * (longest + 1) - 1
    return min(wanted, _WIDEST, room // 5)


def line_labels(
    ends: Sequence[LineEnd], focus: int, width: int, height: int
) -> Mapping[int, Sequence[LineLabel]]:
    """The names by line of cells: lines that end there share it, what has no room moves to a free neighbour.

    >>> found = line_labels([LineEnd("L1", 0, 3, 1), LineEnd("L2", 1, 3, 2)], 1, 6, 9)
    >>> [label.text for label in found[3]]
    ['L2', 'L1']
    """
    by_row: dict[int, list[LineEnd]] = {}
    for end in sorted(ends, key=lambda end: (end.at != focus, end.at)):
        by_row.setdefault(end.row, []).append(end)
    found: dict[int, Sequence[LineLabel]] = {}
    left: list[tuple[int, list[LineEnd]]] = []
    for row, group in by_row.items():
        found[row], rest = _fitting(group, focus, width)
        if rest:
            left.append((row, rest))
    for row, rest in left:
        free = next((at for at in (row - 1, row + 1) if at not in found and 0 <= at < height), None)
        if free is None:
            found[row] = _counted(found[row], rest, width)
        else:
            found[free], rest = _fitting(rest, focus, width)
            found[free] = _counted(found[free], rest, width)
    return found


def _fitting(group: Sequence[LineEnd], focus: int, width: int) -> tuple[list[LineLabel], list[LineEnd]]:
    """The labels that have room, and the ends whose names have none."""
    labels: list[LineLabel] = []
    used = 0
    runs = list(_runs(group, focus))
    for place, run in enumerate(runs):
        text = _name_of(run)
        if not labels and cell_len(text) > width:
            text = set_cell_size(text, width - 1) + "…" if width > 1 else ""
        if used + bool(used) + cell_len(text) > width:
            return labels, [end for each in runs[place:] for end in each]
        used += bool(used) + cell_len(text)
        labels.append(LineLabel(text, run[len(run) // 2].at))
    return labels, []


def _runs(group: Sequence[LineEnd], focus: int) -> Iterator[list[LineEnd]]:
    """Three consecutive layers or more are one name; the line in focus is always alone."""
    run: list[LineEnd] = []
    for end in group:
        last = run[-1] if run else None
        follows = last is not None and last.layer is not None and end.layer == last.layer + 1
        if run and not (follows and focus not in (end.at, run[0].at)):
            yield from _split(run)
            run = []
        run.append(end)
    if run:
        yield from _split(run)


def _split(run: list[LineEnd]) -> Iterator[list[LineEnd]]:
    yield from ([run] if len(run) > 2 else [[end] for end in run])


def _name_of(run: Sequence[LineEnd]) -> str:
    return run[0].name if len(run) == 1 else f"{run[0].name}–{run[-1].layer}"


def _counted(labels: Sequence[LineLabel], rest: Sequence[LineEnd], width: int) -> Sequence[LineLabel]:
    """The labels, and how many lines have no room for their names."""
    if not rest:
        return labels
    more = LineLabel(f"+{len(rest)}", rest[0].at)
    used = sum(cell_len(label.text) + 1 for label in labels)
    return [*labels, more] if used + cell_len(more.text) <= width else labels
