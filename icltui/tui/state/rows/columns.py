"""The columns of a folder's rows: the kind of each one's values, and the values, which stay Arrow's until shown.

pyarrow is imported where it is needed, since the explorer runs without it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

Kind = Literal["number", "flag", "text", "numbers", "texts"]
"""One value, or several: a number for each layer, a few tags."""

LAST = ("error", "part", "digest", "fingerprint", "version", "key")
"""The fields that are looked at last."""


@dataclass(frozen=True, eq=False)
class RowColumn:
    """One field of every row."""

    name: str
    kind: Kind
    values: Any
    """A pyarrow Array; numbers that are not finite count as missing."""

    def __len__(self) -> int:
        return len(self.values)

    def at(self, row: int) -> object:
        """The value of one row: a float, int, bool, str, a list of these, or None."""
        return self.values[row].as_py()

    @cached_property
    def is_empty(self) -> bool:
        """Whether no row has a value: empty texts are none, and neither are no numbers."""
        import pyarrow.compute as pc

        if self.kind in ("number", "flag"):
            return int(self.values.null_count) == len(self.values)
        size = pc.utf8_length if self.kind == "text" else pc.list_value_length
        return not (pc.max(size(self.values)).as_py() or 0)

    @cached_property
    def is_constant(self) -> bool:
        """Whether all rows have one value."""
        import pyarrow.compute as pc

        if self.kind in ("numbers", "texts"):  # which Arrow does not compare: every so many of them
            some = [self.at(row) for row in range(0, len(self), max(1, len(self) // 400))]
            return all(each == some[0] for each in some)
        return int(pc.count_distinct(self.values, mode="all").as_py()) <= 1

    @property
    def is_plotted(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("number", "numbers")

    @cached_property
    def width(self) -> int:
        """Cells that its values are shown on."""
        if self.kind == "number":
            return max(9, min(len(self.name), 16))
        if self.kind == "flag":
            return max(3, min(len(self.name), 12))
        if self.kind == "numbers":
            return 16
        longest = max((_length(value) for value in self.values[:400].to_pylist()), default=0)
        return max(4, min(len(self.name), 12), min(longest, 22))

    def taken(self, indices: Any) -> "RowColumn":
        """The column of some rows."""
        return RowColumn(self.name, self.kind, self.values.take(indices))


def _length(value: object) -> int:
    if isinstance(value, list):
        return sum(len(str(one)) + 2 for one in value) - 2
    return len(str(value or ""))


def row_columns(table: Any) -> tuple[RowColumn, ...]:
    """The columns of a pyarrow Table, the most telling ones first; of a type that has no kind, its text."""
    found = [_column(name, table.column(name)) for name in dict.fromkeys(table.column_names)]
    return tuple(sorted(found, key=_rank))


def _rank(column: RowColumn) -> int:
    """Columns that differ from row to row, then those that do not, then those that are looked at last."""
    return LAST.index(column.name) + 2 if column.name in LAST else int(column.is_constant)


def _column(name: str, chunked: Any) -> RowColumn:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    values = chunked.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of more than two gigabytes, or without a chunk
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if types.is_boolean(kind):
        return RowColumn(name, "flag", values)
    if types.is_integer(kind):
        return RowColumn(name, "number", values)
    if types.is_floating(kind):
        values = values.cast(pa.float64())
        return RowColumn(
            name, "number", pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
        )
    if types.is_list(kind) or types.is_large_list(kind):
        return _several(name, values)
    return RowColumn(name, "text", _as_text(values))


def _several(name: str, values: Any) -> RowColumn:
    import pyarrow as pa
    import pyarrow.types as types

    inner = values.type.value_type
    if types.is_integer(inner) or types.is_floating(inner):
        return RowColumn(name, "numbers", values.cast(pa.list_(pa.float64())))
    if types.is_string(inner) or types.is_large_string(inner):
        return RowColumn(name, "texts", values.cast(pa.list_(pa.string())))
    return RowColumn(name, "text", _as_text(values))


def _as_text(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_string(values.type):
        return values
    if types.is_large_string(values.type):
        return values.cast(pa.string())
    return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
