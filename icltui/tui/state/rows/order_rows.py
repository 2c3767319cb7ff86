"""Rows in the order of a column; rows without a value come last, either way."""

from typing import Any

from icltui.tui.state.rows.columns import RowColumn


def order_of(column: RowColumn, is_descending: bool) -> Any:
    """The indices of the column's rows as a pyarrow array; equal rows stay as they were.

    Several numbers sort by their mean, several texts by the texts one after the other.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    order = "descending" if is_descending else "ascending"
    return pc.sort_indices(pa.table({"value": sorted_by(column)}), [("value", order)])


def sorted_by(column: RowColumn) -> Any:
    """One value for each row, by which the column sorts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.kind == "flag":
        return column.values.cast(pa.int8())
    if column.kind == "text":
        return pc.utf8_lower(column.values)
    if column.kind == "texts":
        return pa.array(
            [None if each is None else ", ".join(map(str, each)) for each in column.values.to_pylist()]
        )
    if column.kind == "numbers":
        return pa.array([_mean(each) for each in column.values.to_pylist()], pa.float64())
    return column.values


def _mean(values: list[float | None] | None) -> float | None:
    known = [value for value in values or () if value is not None and value == value]
    return sum(known) / len(known) if known else None
