"""What a table of rows draws: titles, and a value for each line and column; of rows, or of their groups."""

from dataclasses import dataclass
from typing import Protocol

from icltui.tui.state.rows.columns import Kind, RowColumn
from icltui.tui.state.rows.group_rows import RowGroups
from icltui.tui.state.rows.rows_view import RowsView


@dataclass(frozen=True)
class GridColumn:
    """A column as it is drawn."""

    name: str
    kind: Kind
    width: int
    """Cells, at most."""


class Grid(Protocol):
    """Lines and columns."""

    @property
    def columns(self) -> tuple[GridColumn, ...]:
        """From left to right."""
        ...

    @property
    def n_lines(self) -> int:
        """How many lines there are."""
        ...

    def value(self, line: int, column: int) -> object:
        """What is at a line and a column."""
        ...


class RowsGrid:
    """The rows of a view."""

    def __init__(self, view: RowsView) -> None:
        self.view = view
        self.columns = tuple(GridColumn(each.name, each.kind, each.width) for each in view.rows.shown)

    @property
    def n_lines(self) -> int:
        return self.view.n_shown

    def value(self, line: int, column: int) -> object:
        return self._columns[column].at(self.view.index(line))

    @property
    def _columns(self) -> tuple[RowColumn, ...]:
        return self.view.rows.shown


class GroupsGrid:
    """The groups of a view: the value that its rows share, their number, and medians."""

    def __init__(self, groups: RowGroups) -> None:
        self.groups = groups
        by = groups.by
        self.columns = (
            GridColumn(by.name, "text" if by.kind == "texts" else by.kind, max(by.width, 12)),
            GridColumn("rows", "number", 8),
            *(GridColumn(column.name, "number", column.width) for column in groups.columns),
        )

    @property
    def n_lines(self) -> int:
        return len(self.groups.groups)

    def value(self, line: int, column: int) -> object:
        group = self.groups.groups[line]
        return (group.value, group.count)[column] if column < 2 else group.medians[column - 2]
