"""Records as a table of pandas or polars: tidy, one row a record, one column a number, each of the right type.

Enters: columns with the type of their cells. Leaves: a data frame of whichever of the two libraries is there, which is
imported only then.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from icltui.values.errors import BadInput

Library = Literal["pandas", "polars"]
"""A library of tables."""
Cell = int | float | str | bool | None
Kind = type[int] | type[float] | type[str] | type[bool]
Column = tuple[Kind, Sequence[Cell]]
"""The type of a column's cells, None aside, and the cells."""
Columns = dict[str, Column]
"""Columns of equal length by their names, in their order."""

_LIBRARIES: tuple[Library, ...] = get_args(Library)
_PANDAS = {int: ("int64", "Int64"), float: ("float64",) * 2, str: ("string",) * 2, bool: ("bool", "boolean")}
"""The dtype of a column without a missing cell, and with one."""
_POLARS = {int: "Int64", float: "Float64", str: "String", bool: "Boolean"}


def in_nats(*names: str) -> Mapping[str, str]:
    """Columns whose unit is the nat."""
    return dict.fromkeys(names, "nats")


def make_frame(columns: Columns, library: Library | None, units: Mapping[str, str]) -> Any:
    """A data frame; ``units`` of columns that have one are in the ``attrs`` of pandas.

    Raises:
        BadInput: the library is not installed, or no such library is known.
    """
    tables = _tables(library)
    cells = {name: list(map(_encodable, column)) for name, (_, column) in columns.items()}
    kinds = {name: kind for name, (kind, _) in columns.items()}
    if tables.__name__ == "polars":
        return tables.DataFrame(
            [tables.Series(name, cells[name], getattr(tables, _POLARS[kind])) for name, kind in kinds.items()]
        )
    frame = tables.DataFrame(
        {
            name: tables.Series(cells[name], dtype=_PANDAS[kind][None in cells[name]])
            for name, kind in kinds.items()
        }
    )
    frame.attrs["units"] = {name: unit for name, unit in units.items() if name in columns}
    return frame


def _encodable(cell: Cell) -> Cell:
    """A text without halves of characters, which no such library can hold."""
    return cell.encode(errors="backslashreplace").decode() if isinstance(cell, str) else cell


def _tables(library: Library | None) -> Any:
    """The library: the one asked for, else one that is imported already, else one that is installed."""
    if library is not None and library not in _LIBRARIES:
        raise BadInput(f"{library!r} makes no table here: use {' or '.join(_LIBRARIES)}")
    wanted = _LIBRARIES if library is None else (library,)
    for name in sorted(wanted, key=lambda name: name not in sys.modules):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise BadInput(
        f"a table needs {' or '.join(wanted)}, which is not installed: pip install 'icltui[notebook]'"
    )


def columns_of(records: Iterable[Any], struct: type[msgspec.Struct], without: Sequence[str] = ()) -> Columns:
    """A column for each field of ``struct`` but those ``without``, a cell for each record."""
    records = tuple(records)
    return {
        field.name: (kind_of(field.type), [getattr(record, field.name) for record in records])
        for field in msgspec.structs.fields(struct)
        if field.name not in without
    }


def kind_of(annotation: Any) -> Kind:
    """The type of the cells of a field's type.

    >>> kind_of(Literal["grow", "drop"]), kind_of(float | None)
    (<class 'str'>, <class 'float'>)
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return type(parts[0])
    if origin is Annotated:
        return kind_of(parts[0])
    if origin in (Union, UnionType):
        return kind_of(next(part for part in parts if part is not NoneType))
    kind: Kind = annotation
    return kind
