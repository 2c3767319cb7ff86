"""The operations that every door offers on the same engine: the command line, HTTP, agents and Python.

An operation is a request whose values come from one flat mapping, such as the body of an HTTP request or the keyword
arguments of a function: ``{"context": …, "query": …, "layers": …}``. Its names are the fields of the one table of
options: an option that is added there is a name in every door.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from icltui.api.messages import (
    Compile,
    Examine,
    Generate,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Request,
    Verify,
)
from icltui.api.option import Option
from icltui.api.option_table import OPTIONS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, check_size
from icltui.values.recipe import Recipe, Sampling

PARTS: dict[str, type[Struct]] = {"prompt": Prompt, "recipe": Recipe, "sampling": Sampling}
"""The fields of a request that have options of their own."""


class Operation(Struct, frozen=True):
    """One thing that may be asked about a context, a request with a name."""

    name: str
    """Its name: the command's, the agents' tool's, the function's in Python."""
    request: type[Struct]
    """The request that it is."""
    purpose: str
    """What the answer is, in one sentence."""

    @property
    def options(self) -> Iterator[Option]:
        """The options that may be given, in the table's order."""
        owners = {self.request, *(kind for _, kind in self._parts)}
        return (option for option in OPTIONS if owners & set(option.of))

    def read(self, values: Mapping[str, Any]) -> Request:
        """The request that ``values`` amount to, by field of an option; what is not given is as the request has it.

        Raises:
            BadInput: a name that no option has, a value of another type or out of range, or a text that is too long.
        """
        options = {option.field: option for option in self.options}
        for name in values:
            if name not in options:
                raise BadInput(f"{name!r} is no option of {self.name}: use {', '.join(options)}")
        parts = {name: _changed(self._usual(name, kind), values) for name, kind in self._parts}
        own = {name: value for name, value in values.items() if name in self.request.__struct_fields__}
        request: Request = _converted({**own, **parts}, self.request)
        for owner in (request, *parts.values()):
            for name in filter(options.__contains__, owner.__struct_fields__):
                value = getattr(owner, name)
                options[name].check(value)
                if isinstance(value, str):
                    check_size(value, f"the {name.replace('_', ' ')}")
        return request

    @property
    def _parts(self) -> Iterator[tuple[str, type[Struct]]]:
        return ((name, kind) for name, kind in PARTS.items() if name in self.request.__struct_fields__)

    def _usual(self, name: str, kind: type[Struct]) -> Struct:
        """A part as the request has it where nothing is given."""
        info = next(info for info in msgspec.structs.fields(self.request) if info.name == name)
        return info.default if isinstance(info.default, kind) else kind()


def _changed(part: Struct, values: Mapping[str, Any]) -> Struct:
    """``part`` with those of ``values`` that are its fields."""
    own = {name: value for name, value in values.items() if name in part.__struct_fields__}
    changed: Struct = _converted({**msgspec.structs.asdict(part), **own}, type(part))
    return changed


def _converted(values: dict[str, Any], kind: type[Struct]) -> Any:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        fault, _, where = str(error).partition(" - at `$.")
        raise BadInput(f"{where.rstrip('`') or 'a value'}: {fault[:1].lower()}{fault[1:]}") from None


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "measure", Measure, "What each unit of a context does at each layer: ‖δ‖, ‖ΔW‖, learning rates."
    ),
    Operation(
        "generate", Generate, "Text with the context, without it, and without it through the patch ΔW."
    ),
    Operation(
        "verify", Verify, "Whether the patch is exact on this prompt, beside controls and the noise floor."
    ),
    Operation(
        "curves", MeasureCurves, "The loss at every position with context and without, and the ICL score."
    ),
    Operation("heads", MeasureHeads, "Induction heads, and δ by head and unit of the context."),
    Operation(
        "compile", Compile, "One patch for many queries, chosen by leave-one-out, and how far it carries."
    ),
    Operation("exam", Examine, "Every way from this context to weights, on one sheet, beside controls."),
)
"""Everything that may be asked, through whichever door."""


def operation_of(name: str) -> Operation:
    """The operation of that name."""
    return next(operation for operation in OPERATIONS if operation.name == name)
