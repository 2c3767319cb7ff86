"""An option's value as a caller in Python gives it: its type without bounds, any sequence for a tuple, any number."""

import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin


def plain_type(kind: Any) -> Any:
    """``kind`` without what msgspec checks beyond it.

    >>> plain_type(tuple[Annotated[int, "from 1"], ...])
    collections.abc.Sequence[int]
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return plain_type(parts[0])
    if origin in (Union, UnionType):
        return Union[tuple(map(plain_type, parts))]  # noqa: UP007 (of parts that are not known)
    if origin is tuple:
        return Sequence[plain_type(parts[0])]  # type: ignore[misc]
    if origin is dict:
        return Mapping[plain_type(parts[0]), plain_type(parts[1])]  # type: ignore[misc]
    return kind


def plain_number(value: Any) -> Any:
    """``value``, as a number of Python where it is one of numpy or torch, as loops over their arrays give.

    >>> import numpy
    >>> plain_number(numpy.float32(0.5)), plain_number(numpy.arange(3)[1]), plain_number("0.5")
    (0.5, 1, '0.5')
    """
    is_one = getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None))
    return value.item() if is_one else value


def type_text(kind: Any) -> str:
    """``kind`` as it is written in Python, the same in every version of it.

    >>> type_text(Union[float, Literal["search", "jvp"], None])
    "float | Literal['search', 'jvp'] | None"
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " | ".join(map(type_text, parts))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(type_text, parts))}]"
    return {NoneType: "None", Ellipsis: "..."}.get(kind) or str(kind.__name__)


def words_for(kind: Any) -> str:
    """``kind`` for people: choices are listed.

    >>> words_for(Union[float, Literal["search", "jvp"]])
    "float | 'search' | 'jvp'"
    """
    return re.sub(r"Literal\[([^]]*)\]", lambda match: match[1].replace(", ", " | "), type_text(kind))
