"""A run and those of its children that differ in one choice, as points of a grid; a fan brings more of them."""

from collections import Counter
from dataclasses import dataclass

from icltui.tui.state.fan import Fan
from icltui.tui.state.history import History
from icltui.tui.state.run_words import TEXTS, changed_fields, value_of
from icltui.values import Run


@dataclass(frozen=True)
class GridPoint:
    """One value, and the run that has it."""

    value: str
    run: Run | None = None
    state: str = ""
    """Why there is no run, or no whole one: it waits, it runs, or what went wrong."""


@dataclass(frozen=True)
class FanGrid:
    """The runs of one choice."""

    base: int | None = None
    """The run that the others came of."""
    name: str = ""
    """Of the choice."""
    points: tuple[GridPoint, ...] = ()


def grid_of(history: History, number: int | None) -> FanGrid:
    """The larger of the grids around a run, of its children and of its siblings; empty where there is none."""
    run = history.run(number)
    bases = (run, history.run(run.parent) if run else None)
    grids = [_below(history, base) for base in bases if base is not None]
    return max(grids, key=lambda grid: len(grid.points), default=FanGrid(number))


def _below(history: History, base: Run) -> FanGrid:
    """The grid of the choice in which most children of ``base`` alone differ."""
    children = [run for run in history.runs if run.parent == base.number]
    changed = {run.number: changed_fields(base.session, run.session) for run in children}
    alone = (fields[0] for fields in changed.values() if len(fields) == 1)
    counted = Counter(field for field in alone if field not in TEXTS)
    if not counted:
        return FanGrid(base.number)
    field = counted.most_common(1)[0][0]
    runs = [base, *(run for run in children if changed[run.number] in ((field,), ()))]
    points = (GridPoint(value_of(run.session, field), run) for run in runs)
    return FanGrid(base.number, field, tuple(sorted(points, key=_order)))


def grid_of_fan(history: History, fan: Fan) -> FanGrid:
    """The points of a fan, also those that are still to come."""
    current = fan.current if fan.state != "over" else None
    points = []
    for point in fan.points:
        waits = "waits" if fan.state == "runs" else "not run"
        state = "" if point.number else point.problem or ("runs" if point is current else waits)
        points.append(GridPoint(point.variation.value, history.run(point.number), state))
    return FanGrid(fan.base, fan.points[0].variation.name if fan.points else "", tuple(points))


def _order(point: GridPoint) -> tuple[bool, float, int]:
    """Numbers by size, words after them by their runs."""
    number = point.run.number if point.run else 0
    try:
        return False, float(point.value), number
    except ValueError:
        return True, 0.0, number
