"""Which rows a filter lets through: a tree and columns enter, a mask leaves."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from icltui.tui.state.rows.columns import RowColumn
from icltui.tui.state.rows.filter_expression import (
    AnyText,
    ColumnComparison,
    Filter,
    Joined,
    Not,
    Operand,
    Operator,
)
from icltui.values.errors import BadInput

Columns = Mapping[str, RowColumn]
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}
_NONE = ("none", "null", "empty")
_COMPARE = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "=": "equal",
    "!=": "not_equal",
}
_FEWEST_LETTERS = 3


def mask_of(tree: Filter, columns: Columns, n_rows: int) -> Any:
    """A pyarrow array of booleans, without gaps, for each row whether ``tree`` holds.

    Raises:
        BadInput: a column that is not there, or a comparison that its values do not have.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    match tree:
        case Not(term):
            return pc.invert(mask_of(term, columns, n_rows))
        case Joined(how, terms):
            join = pc.and_ if how == "and" else pc.or_
            mask = mask_of(terms[0], columns, n_rows)
            for term in terms[1:]:
                mask = join(mask, mask_of(term, columns, n_rows))
            return mask
        case AnyText(text):
            mask = pa.array([False] * n_rows)
            for column in columns.values():
                if column.kind in ("text", "texts"):
                    mask = pc.or_(mask, _contains(column, text))
            return mask
    return _compared(tree, columns)


def _compared(tree: ColumnComparison, columns: Columns) -> Any:
    import pyarrow.compute as pc

    column, operator = _named(tree.column, columns), tree.operator
    if operator == ":":
        return _contains(column, tree.value.text)
    if not tree.value.is_quoted and tree.value.text.lower() in _NONE and operator in ("=", "!="):
        return pc.is_null(column.values) if operator == "=" else pc.is_valid(column.values)
    left = _single(column, tree.column)
    if not tree.value.is_quoted and tree.value.text in columns:
        return _with_column(left, operator, _single(columns[tree.value.text], tree.value))
    return _with_value(left, operator, tree.value)


def _named(operand: Operand, columns: Columns) -> RowColumn:
    if (column := columns.get(operand.text)) is not None:
        return column
    alike = [name for name in columns if name.rstrip("s").lower() == operand.text.rstrip("s").lower()]
    if len(alike) == 1:
        return columns[alike[0]]
    near = get_close_matches(operand.text, list(columns), 1)
    hint = f"did you mean {near[0]}?" if near else "? lists the columns; a text with : or = goes in quotes"
    raise BadInput(f"there is no column {operand.text[:40]!r}: {hint}")


def _single(column: RowColumn, operand: Operand) -> RowColumn:
    """The column, or one of the several values that each row has."""
    import pyarrow as pa

    if column.kind not in ("numbers", "texts"):
        if operand.index is not None:
            raise BadInput(f"{column.name} has one value a row: leave [{operand.index}] out")
        return column
    if operand.index is None:
        if column.kind == "texts":
            return column
        raise BadInput(f"{column.name} has several numbers a row: say which, as in {column.name}[-1] > 1")
    at = operand.index
    picked = [
        values[at] if values is not None and -len(values) <= at < len(values) else None
        for values in column.values.to_pylist()
    ]
    is_number = column.kind == "numbers"
    kind = pa.float64() if is_number else pa.string()
    return RowColumn(f"{column.name}[{at}]", "number" if is_number else "text", pa.array(picked, kind))


def _with_column(left: RowColumn, operator: Operator, right: RowColumn) -> Any:
    if left.kind != right.kind or left.kind == "texts":
        raise BadInput(f"{left.name} and {right.name} have values of two kinds: compare numbers with numbers")
    return _answer(operator, left.values, right.values)


def _with_value(column: RowColumn, operator: Operator, value: Operand) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = value.text
    if column.kind == "number":
        return _answer(operator, column.values, pa.scalar(_number(text, column.name)))
    if column.kind == "flag":
        if (flag := _FLAGS.get(text.lower())) is None or operator not in ("=", "!="):
            raise BadInput(
                f"{column.name} is true or false: write {column.name} = true or {column.name} = false"
            )
        return _answer(operator, column.values, pa.scalar(flag))
    if column.kind == "texts":
        if operator not in ("=", "!="):
            raise BadInput(
                f"{column.name} has several texts a row: write {column.name} = TEXT or {column.name}:TEXT"
            )
        held = _any_of(column, lambda texts: pc.equal(texts, text))
        return held if operator == "=" else pc.invert(held)
    return _answer(operator, pc.fill_null(column.values, ""), pa.scalar(text))


def _number(text: str, name: str) -> float:
    try:
        return float(text.replace(",", "").replace("−", "-"))
    except ValueError:
        raise BadInput(
            f"{name} is a number, and {text[:40]!r} is none: write for example {name} > 1"
        ) from None


def _answer(operator: Operator, left: Any, right: Any) -> Any:
    """What is missing compares with nothing."""
    import pyarrow.compute as pc

    return pc.fill_null(getattr(pc, _COMPARE[operator])(left, right), False)


def _contains(column: RowColumn, text: str) -> Any:
    """Whether ``text`` is in a row's text, or in one of its texts; the case counts where ``text`` has a capital."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_lower = text == text.lower()

    def find(texts: Any) -> Any:
        return pc.match_substring(texts, text, ignore_case=is_lower)

    if column.kind == "texts":
        return _any_of(column, find)
    values = column.values
    if column.kind == "numbers":
        values = pa.array([None if each is None else " ".join(map(str, each)) for each in values.to_pylist()])
    texts = values if column.kind == "text" else values.cast(pa.string())
    return pc.fill_null(find(texts), False)


def _any_of(column: RowColumn, find: Any) -> Any:
    """Whether ``find`` holds of any of a row's texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.fill_null(find(pc.list_flatten(column.values)), False)
    rows = pc.list_parent_indices(column.values).filter(found)
    return pc.is_in(pa.array(range(len(column)), rows.type), value_set=rows)
