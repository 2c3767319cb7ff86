"""Rows grouped by a column: how many each group has, and the median of every column of numbers in it."""

from dataclasses import dataclass
from typing import Any

from icltui.tui.state.rows.columns import RowColumn
from icltui.values.errors import BadInput

MOST_GROUPS = 5_000


@dataclass(frozen=True)
class RowGroup:
    """The rows that share a value; a row with several texts is in the group of each."""

    value: object
    """None for rows without a value."""
    count: int
    medians: tuple[float | None, ...]
    """Of the number columns, in their order."""


@dataclass(frozen=True)
class RowGroups:
    """The groups, the largest first."""

    by: RowColumn
    columns: tuple[RowColumn, ...]
    """The columns whose medians they have."""
    groups: tuple[RowGroup, ...]


def group_rows(by: RowColumn, columns: tuple[RowColumn, ...]) -> RowGroups:
    """The groups of the rows in ``columns``.

    Raises:
        BadInput: a column of several numbers, or one with so many different values that there is no table of them.
    """
    import pyarrow.compute as pc

    if by.kind == "numbers":
        raise BadInput(f"{by.name} has several numbers a row: group by a column with one value")
    values, rows = _values(by)
    codes = values.dictionary_encode(null_encoding="encode")
    if len(codes.dictionary) > MOST_GROUPS:
        n = len(codes.dictionary)
        raise BadInput(
            f"{by.name} has {n:,} different values, for at most {MOST_GROUPS:,} groups: group by another"
        )
    measured = tuple(column for column in columns if column.kind == "number" and column.name != by.name)
    counts = [0] * len(codes.dictionary)
    for pair in pc.value_counts(codes.indices).to_pylist():
        counts[pair["values"]] = pair["counts"]
    medians = [_medians(codes.indices, column.values.take(rows), len(counts)) for column in measured]
    names = codes.dictionary.to_pylist()
    groups = (
        RowGroup(names[at], counts[at], tuple(each[at] for each in medians)) for at in range(len(counts))
    )
    in_order = sorted(groups, key=lambda group: (group.value is None, -group.count, str(group.value)))
    return RowGroups(by, measured, tuple(in_order)) if len(values) else RowGroups(by, measured, ())


def _values(by: RowColumn) -> tuple[Any, Any]:
    """Each value, and the index of its row: of several texts each one, of none the missing value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if by.kind != "texts":
        return by.values, pa.array(range(len(by)))
    lists = [each or [None] for each in by.values.to_pylist()]
    listed = pa.array([list(dict.fromkeys(each)) for each in lists], pa.list_(pa.string()))
    return pc.list_flatten(listed), pc.list_parent_indices(listed)


def _medians(groups: Any, values: Any, n_groups: int) -> list[float | None]:
    """The median of ``values`` in each group, those that are missing left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_known = pc.is_valid(values)
    table = pa.table({"group": groups.filter(is_known), "value": values.filter(is_known).cast(pa.float64())})
    table = table.take(pc.sort_indices(table, [("group", "ascending"), ("value", "ascending")]))
    in_order = table.column("value").to_pylist()
    medians: list[float | None] = [None] * n_groups
    start = 0
    pairs = pc.value_counts(
        table.column("group")
    ).to_pylist()  # in the order in which they come first: ascending
    for pair in pairs:
        n = pair["counts"]
        middle = in_order[start + (n - 1) // 2 : start + n // 2 + 1]
        medians[pair["values"]] = sum(middle) / len(middle)
        start += n
    return medians
