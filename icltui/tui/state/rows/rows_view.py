"""The rows that are shown: some of a folder's rows in an order, or their groups. A query enters, a view leaves."""

from dataclasses import dataclass, replace
from typing import Any

from icltui.tui.state.rows.columns import RowColumn
from icltui.tui.state.rows.filter_expression import parse_filter
from icltui.tui.state.rows.filter_rows import mask_of
from icltui.tui.state.rows.group_rows import RowGroups, group_rows
from icltui.tui.state.rows.loaded_rows import LoadedRows
from icltui.tui.state.rows.order_rows import order_of


@dataclass(frozen=True)
class RowsQuery:
    """What is asked of the rows."""

    filter: str = ""
    """As it was typed."""
    inside: tuple[str, object] | None = None
    """The group that was opened: the column's name, and the value that its rows share."""
    sort: str = ""
    """A column's name; empty: in the order of the files."""
    is_descending: bool = False
    group: str = ""
    """A column's name; empty: rows, and no groups."""

    def sorted_by(self, name: str) -> "RowsQuery":
        """The next order by a column: upwards, downwards, as in the files."""
        if self.sort != name:
            return replace(self, sort=name, is_descending=False)
        if not self.is_descending:
            return replace(self, is_descending=True)
        return replace(self, sort="", is_descending=False)

    def words(self) -> str:
        """What is asked, in words."""
        inside = "" if self.inside is None else f"{self.inside[0]} = {_shown(self.inside[1])}"
        sort = f"by {self.sort} {'↓' if self.is_descending else '↑'}" if self.sort else ""
        group = f"grouped by {self.group}" if self.group else ""
        return " · ".join(filter(None, (self.filter.strip(), inside, sort, group)))


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)


@dataclass(frozen=True, eq=False)
class RowsView:
    """What a query gives."""

    rows: LoadedRows
    query: RowsQuery
    indices: Any
    """A pyarrow array: which rows, in their order."""
    groups: RowGroups | None = None

    @property
    def n_shown(self) -> int:
        """How many rows the query lets through."""
        return len(self.indices)

    def index(self, at: int) -> int:
        """The folder's row at line ``at``."""
        return int(self.indices[at].as_py())

    def place_of(self, row: int) -> int | None:
        """The line of a folder's row; None where it is not shown."""
        import pyarrow.compute as pc

        at = pc.index(self.indices, row).as_py()
        return at if at >= 0 else None


def rows_view(rows: LoadedRows, query: RowsQuery) -> RowsView:
    """The rows that the query asks for; takes up to seconds, and belongs in a thread.

    Raises:
        BadInput: the filter cannot be read, or a column is not there.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    indices = pa.array(range(rows.n_rows), pa.int64())
    if tree := parse_filter(query.filter):
        indices = indices.filter(mask_of(tree, rows.by_name, rows.n_rows))
    if query.inside and query.inside[0] in rows.by_name:
        held = _inside(rows.by_name[query.inside[0]], query.inside[1])
        indices = indices.filter(held.take(indices))
    if query.sort in rows.by_name:
        indices = indices.take(order_of(rows.by_name[query.sort].taken(indices), query.is_descending))
    groups = None
    if by := rows.by_name.get(query.group):
        groups = group_rows(by.taken(indices), tuple(column.taken(indices) for column in rows.shown))
    return RowsView(rows, query, pc.cast(indices, pa.int64()), groups)


def _inside(column: RowColumn, value: object) -> Any:
    """Which rows are in the group of ``value``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.kind == "texts":
        lists = column.values.to_pylist()
        return pa.array([value in (each or [None]) for each in lists], pa.bool_())
    if value is None:
        return pc.is_null(column.values)
    return pc.fill_null(pc.equal(column.values, pa.scalar(value, column.values.type)), False)
