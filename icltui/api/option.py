"""One option: the field that it sets, its names, its meaning, and the values that it takes.

Its type, default and choices are those of the field. Text enters :meth:`Option.read` and a value of the field leaves.
"""

import math
import operator
from collections.abc import Callable
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo, fields

from icltui.values.errors import BadInput

Group = Literal[
    "model",
    "patch",
    "text",
    "tests",
    "prompt",
    "method",
    "pairs",
    "compile",
    "exam",
    "curves",
    "heads",
    "limits",
]
"""Options that are listed together, and offered by the same commands."""


class Option(Struct, frozen=True, dict=True):
    """An option of the command line; with a hint, also a line in one of the explorer's forms."""

    field: str
    """The name of the field that it sets."""
    help: str
    """Its meaning, for ``--help``; ``{default}`` is replaced by the default."""
    of: tuple[type[Struct], ...]
    """The structs that have this field; type and default are those of the first."""
    group: Group
    flags: tuple[str, ...] = ()
    """Its names on the command line; empty: the field's."""
    metavar: str | None = None
    takes_file: bool = False
    """Whether ``@FILE`` may be given for the text in it."""
    names_file: bool = False
    """Whether its text is the path of a file that the engine reads."""
    label: str = ""
    """Its name in the explorer's form, where that is not the field's."""
    hint: str = ""
    """Its meaning, beside it in the form; empty: the form does not have it."""
    local: str = ""
    """Why only a user of the engine's own machine may give it; empty: anyone may."""
    need: str = ""
    """What to give instead, at the end of a complaint."""
    bounds: Meta = Meta()
    """The range of a number, which is finite, and the least length of a text; those of each item of a tuple."""
    fault: str = "{name} {value} is out of range"
    """The complaint about a value that is not allowed."""
    goes_with: str = ""
    """The other options that it does nothing without."""
    show: Callable[[Any], str] = "{:g}".format
    """A decimal number as the form holds it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The option's names on the command line."""
        return self.flags or ("--" + self.field.replace("_", "-"),)

    @property
    def flag(self) -> str:
        """The longest of the option's names."""
        return max(self.names, key=len)

    @property
    def title(self) -> str:
        """The option's name in the explorer's form."""
        return self.label or self.field

    @property
    def description(self) -> str:
        """The help text with the default filled in."""
        return with_default(self.help, self.default)

    @property
    def default(self) -> Any:
        """The value where nothing is given."""
        info = self._info
        return info.default_factory() if info.default is NODEFAULT else info.default

    @property
    def annotation(self) -> Any:
        """The type of the field, with its bounds."""
        return self._info.type

    @cached_property
    def types(self) -> frozenset[type]:
        """The classes that a value may have, choices left out."""
        return frozenset(get_origin(part) or part for part in self._parts) - {Literal}

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """The words that the value, or each item of it, may be."""
        parts = (
            part for whole in self._parts for part in (whole, *get_args(whole)[: get_origin(whole) is tuple])
        )
        return tuple(word for part in parts if get_origin(part) is Literal for word in get_args(part))

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of words."""
        return tuple in self.types and bool(self.choices)

    def read(self, text: str) -> Any:
        """The value of ``text``.

        Raises:
            BadInput: ``text`` is no value of the field's type, or one that is not allowed.
        """
        value = self._parse(text)
        self.check(value)
        return value

    def text(self, value: Any) -> str:
        """The text that :meth:`read` turns back into ``value``."""
        if value is None:
            return ""
        return self.show(value) if isinstance(value, float) else str(value)

    def check(self, value: Any) -> None:
        """Refuse a value that is not allowed.

        Raises:
            BadInput: naming the value and what to give instead.
        """
        if not _is_within(value, self.bounds):
            name = self.field.replace("_", "-")
            raise BadInput(f"{self.fault.format(name=name, value=shown_value(value))}: {self.need}")

    def _parse(self, text: str) -> Any:
        if self.is_list:
            return tuple(map(self._word, text.split(",")))
        if text in self.choices or str in self.types:
            return text if text or NoneType not in self.types else None
        if not text and NoneType in self.types:
            return None
        for number, noun in ((int, "whole number"), (float, "number")):
            if number in self.types:
                try:
                    return number(text)
                except ValueError:
                    raise BadInput(f"{text!r} is not a {noun}: {self.need}") from None
        return self._word(text)

    def _word(self, text: str) -> str:
        if (word := text.strip()) in self.choices:
            return word
        raise BadInput(f"{text!r} not known: use {', '.join(self.choices)}")

    @cached_property
    def _info(self) -> FieldInfo:
        return next(info for info in fields(self.of[0]) if info.name == self.field)

    @property
    def _parts(self) -> tuple[Any, ...]:
        """The parts of the field's type, one by one where it is a union."""
        kind = self.annotation
        parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        return tuple(get_args(part)[0] if get_origin(part) is Annotated else part for part in parts)


def with_default(words: str, default: object) -> str:
    """``words`` with the default in the place of ``{default}``."""
    return words.replace("{default}", shown_value(default))


def _is_within(value: Any, bounds: Meta) -> bool:
    if isinstance(value, tuple):
        return all(_is_within(item, bounds) for item in value)
    if isinstance(value, str):
        return len(value) >= (bounds.min_length or 0)
    if not isinstance(value, int | float):
        return True
    ends = (
        (operator.ge, bounds.ge),
        (operator.gt, bounds.gt),
        (operator.le, bounds.le),
        (operator.lt, bounds.lt),
    )
    is_finite = isinstance(value, int) or math.isfinite(value)
    return is_finite and all(is_kept(value, end) for is_kept, end in ends if end is not None)


def shown_value(value: object) -> str:
    """A value in a sentence."""
    return f"{value:g}" if isinstance(value, float) else "yes" if value is True else str(value)
