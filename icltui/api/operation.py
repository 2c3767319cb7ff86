"""The operations that every door offers on the same engine: the command line, HTTP, agents and Python.

An operation is a request whose values come from one flat mapping, such as the body of an HTTP request or the keyword
arguments of a function: ``{"context": …, "query": …, "layers": …}``. Its names are the fields of the one table of
options: an option that is added there is a name in every door.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

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
from icltui.api.option import Option, with_default
from icltui.api.option_table import OPTIONS, option_of, without_flags
from icltui.values.bounds import LAYERS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, check_size, resolve_layers
from icltui.values.recipe import CHOSEN, COMPILED, Recipe, Sampling

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
    required: tuple[str, ...] = ("query",)
    """The options that must be given."""

    @property
    def options(self) -> Iterator[Option]:
        """The options that may be given, in the table's order."""
        owners = {self.request, *(kind for _, kind in self._parts)}
        return (option for option in OPTIONS if owners & set(option.of))

    @property
    def remote_options(self) -> Iterator[Option]:
        """Those of them that a server offers: none names a file of the engine's machine, or is about one."""
        return (option for option in self.options if not option.local)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The options that are chosen for whoever does not give them: their default is None."""
        return (*CHOSEN, "layers", "calibrate") if self.request is Compile else ()

    def annotation(self, option: Option) -> Any:
        """The type of one of the operation's options, with its bounds."""
        return option.annotation | None if option.field in self.chosen else option.annotation

    def description(self, option: Option) -> str:
        """What one of the operation's options means, without the command line."""
        words, default = option.words or option.help, self.default(option)
        if option.field in self.chosen and option.field != "calibrate":  # whose words say it
            words = f"{words.split(' (default')[0]} (not given: chosen, beginning at {{default}})"
            default = self._begin(option)
        return with_default(without_flags(words), default)

    def default(self, option: Option) -> Any:
        """The value of one of the operation's options where nothing is given."""
        if option.field in self.chosen:
            return None
        return self._begin(option)

    def _begin(self, option: Option) -> Any:
        owners = (self._usual, *(getattr(self._usual, name) for name, _ in self._parts))
        return next(getattr(owner, option.field) for owner in owners if hasattr(owner, option.field))

    def read(self, values: Mapping[str, Any], is_remote: bool = False) -> Request:
        """The request that ``values`` amount to, by field of an option; what is not given is as the request has it.

        ``is_remote`` says that they come from another machine.

        Raises:
            BadInput: a name that no option has, or that is not offered there; a value of another type or out of range;
                a text that is too long; or what is required and not given.
        """
        if not isinstance(values, Mapping):
            raise BadInput(f"{type(values).__name__} is no set of options: give them by name")
        self._check_names(values, is_remote)
        values = {
            name: _whole(option_of(name), value)
            for name, value in values.items()
            if value is not None or name not in self.chosen
        }
        try:
            return self._request(values)
        except BadInput as error:
            raise BadInput(without_flags(str(error))) from None

    def _check_names(self, values: Mapping[str, Any], is_remote: bool) -> None:
        options = {option.field: option for option in self.options}
        usable = self.remote_options if is_remote else self.options
        for name in values:
            if name not in options:
                known = ", ".join(option.field for option in usable)
                raise BadInput(f"{str(name)[:40]!r} is no option of {self.name}: use {known}")
            if is_remote and options[name].local:
                raise BadInput(f"{name!r} is not offered here: {options[name].local}: leave it out")
        for name in self.required:
            if not values.get(name):
                raise BadInput(f"the {name} is empty: give the text whose continuation is to be explained")

    def _request(self, values: Mapping[str, Any]) -> Request:
        parts = {name: _changed(getattr(self._usual, name), values) for name, _ in self._parts}
        request: Request = _completed(_changed(self._usual, {**values, **parts}), values)
        for option in self.options:
            for owner in (request, *parts.values()):
                if hasattr(owner, option.field):
                    _check(option, getattr(owner, option.field))
        if hasattr(request, "layers"):
            resolve_layers(request.layers, LAYERS)
        return request

    @property
    def _parts(self) -> Iterator[tuple[str, type[Struct]]]:
        return ((name, kind) for name, kind in PARTS.items() if name in self.request.__struct_fields__)

    @property
    def _usual(self) -> Struct:
        """The request where nothing is given."""
        begin = {"recipe": COMPILED} if self.request is Compile else {}
        return self.request(prompt=Prompt(), **begin)


def _completed(request: Request, given: Mapping[str, Any]) -> Request:
    """``request`` with what follows from which options were given: what is not, *compile* chooses.

    Raises:
        BadInput: queries of the user's own where others are wanted, or none where they are.
    """
    if not isinstance(request, Compile):
        return request
    has_own = bool(request.recipe.queries)
    kind = request.calibrate if "calibrate" in given else "user" if has_own else "self"
    if (kind == "user") != has_own:
        raise BadInput(
            "calibrate user needs queries: give them"
            if kind == "user"
            else f"queries are the calibration queries, and calibrate {kind} makes others: leave one of them out"
        )
    return replace(
        request, calibrate=kind, pinned=tuple(name for name in (*CHOSEN, "layers") if name in given)
    )


def _changed(part: Struct, values: Mapping[str, Any]) -> Any:
    """``part`` with those of ``values`` that are its fields."""
    own = {name: getattr(part, name) for name in part.__struct_fields__}
    try:
        return msgspec.convert({name: values.get(name, value) for name, value in own.items()}, type(part))
    except msgspec.ValidationError as error:
        fault, _, where = str(error).rpartition(" - at `")
        path = where.rstrip("`").replace("key` in `", "a name in ").replace("$.", "")
        raise BadInput(f"{path or 'a value'}: {fault[:1].lower()}{fault[1:]}") from None


def _whole(option: Option, value: Any) -> Any:
    """``value``, as a whole number where it is one: to JSON 2.0 is 2, and some languages write no other."""
    is_whole = isinstance(value, float) and value.is_integer() and not option.types & {float, bool}
    return int(value) if is_whole and int in option.types else value


def _check(option: Option, value: Any) -> None:
    """Refuse a value that is out of range, or a text in it that no model could read."""
    for text in _texts(value):
        check_size(text, f"the {option.field.replace('_', ' ')}")
    option.check(value)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value."""
    match value:
        case str():
            yield value
        case tuple():
            yield from value
        case dict():
            yield from (*value, *value.values())


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
        "compile", Compile, "One patch for many queries, chosen by leave-one-out, and how far it carries.", ()
    ),
    Operation("exam", Examine, "Every way from this context to weights, on one sheet, beside controls.", ()),
)
"""Everything that may be asked, through whichever door."""


def operation_of(name: str) -> Operation:
    """The operation of that name."""
    return next(operation for operation in OPERATIONS if operation.name == name)
