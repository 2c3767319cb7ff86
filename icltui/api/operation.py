"""The operations that every door offers on the same engine: the command line, HTTP, agents and Python.

An operation is a request whose values come from one flat mapping, such as the body of an HTTP request or the keyword
arguments of a function: ``{"context": …, "query": …, "layers": …}``. Its names are the fields of the one table of
options: an option that is added there is a name in every door.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from icltui.api.consistency import complete_compile, complete_exam, complete_generate
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
from icltui.api.type_fault import type_fault
from icltui.values.bounds import LAYERS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, check_size, resolve_layers
from icltui.values.recipe import CHOSEN, COMPILED, Recipe, Sampling

PARTS: dict[str, type[Struct]] = {"prompt": Prompt, "recipe": Recipe, "sampling": Sampling}
"""The fields of a request that have options of their own."""
_LONGEST_NAME = 40


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that may be asked about a context, a request with a name."""

    name: str
    """Its name: the command's, the agents' tool's, the function's in Python."""
    usual: Struct
    """The request that it is, where nothing is given."""
    purpose: str
    """What the answer is, in one sentence."""
    required: tuple[str, ...] = ("query",)
    """The options that must be given."""
    unused: frozenset[str] = frozenset()
    """Options of its parts that mean nothing to it."""
    chosen: frozenset[str] = frozenset()
    """Options that it chooses itself where they are not given, which None says too."""
    meanings: Mapping[str, str] = {}
    """What an option means here, where its own help does not say it."""
    complete: Callable[[Any, Collection[str]], Request] = lambda request, _given: request
    """Checks the request's options against each other, and sets what follows from those that were given."""

    @property
    def request(self) -> type[Struct]:
        """The class of its request."""
        return type(self.usual)

    @property
    def options(self) -> Iterator[Option]:
        """The options that may be given, in the table's order."""
        owners = {self.request, *(PARTS[name] for name in self._parts)}
        return (option for option in OPTIONS if owners & set(option.of) and option.field not in self.unused)

    @property
    def remote_options(self) -> Iterator[Option]:
        """Those of them that a server offers: none names a file of the engine's machine, or is about one."""
        return (option for option in self.options if not option.local)

    def annotation(self, option: Option) -> Any:
        """The type of one of the operation's options, with its bounds."""
        return option.annotation | None if option.field in self.chosen else option.annotation

    def default(self, option: Option) -> Any:
        """The value of one of the operation's options where nothing is given."""
        return None if option.field in self.chosen else self._begin(option)

    def help(self, option: Option) -> str:
        """What one of the operation's options means, with its default, on the command line."""
        words, begin = self.meanings.get(option.field, option.help), self._begin(option)
        if option.field in self.chosen and "(default: " not in words:
            words = words.split(" (default")[0] + " (begins at {default})"
        return with_default(words, begin)

    def description(self, option: Option) -> str:
        """The same in the words of a door that has no command line."""
        return without_flags(self.help(option)).replace("(begins at", "(not given: chosen, beginning at")

    def read(self, values: Mapping[str, Any], is_remote: bool = False) -> Request:
        """The request that ``values`` amount to, by field of an option; what is not given is as usual.

        ``is_remote`` says that they come from another machine.

        Raises:
            BadInput: a name that no option has, or that is not offered there; a value of another type or out of range;
                a text that is too long; one that is required and not given, or that does nothing beside the others.
        """
        if not isinstance(values, Mapping):
            raise BadInput(f"{type(values).__name__} is no set of options: give them by name")
        self._check_names(values, is_remote)
        try:
            return self.request_of(values)
        except BadInput as error:
            raise BadInput(without_flags(str(error))) from None

    def request_of(self, values: Mapping[str, Any]) -> Request:
        """The request that ``values`` amount to, each the operation's: complaints have the command line's names.

        Raises:
            BadInput: as :meth:`read`.
        """
        given = {n: v for n, v in values.items() if v is not None or n not in self.chosen}
        values = {name: _whole(option_of(name), value) for name, value in given.items()}
        parts = {name: _changed(part, values) for name, part in self._parts.items()}
        request = _changed(self.usual, {**values, **parts})
        for option in self.options:
            for owner in (request, *parts.values()):
                if hasattr(owner, option.field):
                    _check(option, getattr(owner, option.field))
        if "query" in self.required and not request.prompt.query:
            raise BadInput("the query is empty: type the text whose continuation is to be explained")
        if hasattr(request, "layers"):
            resolve_layers(request.layers, LAYERS)
        return self.complete(request, values)

    def _check_names(self, values: Mapping[str, Any], is_remote: bool) -> None:
        options = {option.field: option for option in self.options}
        for name in values:
            if name not in options:
                known = ", ".join(o.field for o in options.values() if not (is_remote and o.local))
                raise BadInput(f"{str(name)[:_LONGEST_NAME]!r} is no option of {self.name}: use {known}")
            if is_remote and options[name].local:
                raise BadInput(f"{name!r} is not offered here: {options[name].local}: leave it out")

    def _begin(self, option: Option) -> Any:
        owners = (self.usual, *self._parts.values())
        return next(getattr(owner, option.field) for owner in owners if hasattr(owner, option.field))

    @property
    def _parts(self) -> dict[str, Struct]:
        """The parts of the usual request that have options of their own."""
        return {name: getattr(self.usual, name) for name in PARTS if hasattr(self.usual, name)}


def _changed(part: Struct, values: Mapping[str, Any]) -> Any:
    """``part`` with those of ``values`` that are its fields."""
    own = {name: values.get(name, getattr(part, name)) for name in part.__struct_fields__}
    try:
        return msgspec.convert(own, type(part))
    except msgspec.ValidationError as error:
        raise BadInput(type_fault(error)) from None


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
        name="measure",
        usual=Measure(prompt=Prompt()),
        purpose="What each unit of a context does at each layer: ‖δ‖, ‖ΔW‖, learning rates.",
    ),
    Operation(
        name="generate",
        usual=Generate(prompt=Prompt()),
        purpose="Text with the context, without it, and without it through the patch ΔW.",
        complete=complete_generate,
    ),
    Operation(
        name="verify",
        usual=Verify(prompt=Prompt()),
        purpose="Whether the patch is exact on this prompt, beside controls and the noise floor.",
        meanings={"seed": "of the control patches (default {default})"},
    ),
    Operation(
        name="curves",
        usual=MeasureCurves(prompt=Prompt()),
        purpose="The loss at every position with context and without, and the ICL score.",
        meanings={"seed": "of the model's own texts and of the intervals (default {default})"},
    ),
    Operation(
        name="heads",
        usual=MeasureHeads(prompt=Prompt()),
        purpose="Induction heads, and δ by head and unit of the context.",
        meanings={"seed": "of the first random sequence (default {default})"},
    ),
    Operation(
        name="compile",
        usual=Compile(prompt=Prompt(), recipe=COMPILED),
        purpose="One patch for many queries, chosen by leave-one-out, and how far it carries.",
        required=("context",),
        unused=frozenset({"mode", "control", "other_context", "unit", "layer_alphas"}),
        chosen=frozenset({*CHOSEN, "layers", "calibrate"}),
        meanings={
            "query": "one more unseen query",
            "queries": "calibration queries, one per line: the patch is made from them",
            "holdout": "unseen queries, one per line: the patch is tested on them",
            "seed": "of what the model writes (default {default})",
            "layers": "all, or a list such as 0,3,5-8",
        },
        complete=complete_compile,
    ),
    Operation(
        name="exam",
        usual=Examine(prompt=Prompt()),
        purpose="Every way from this context to weights, on one sheet, beside controls.",
        required=("queries", "holdout"),
        unused=frozenset({"mode", "control", "other_context", "unit", "layer_alphas"}),
        meanings={
            "query": "the query whose patch the row frozen is (default: the first of the calibration queries)",
            "queries": "calibration queries, one per line: patches are made from them",
            "holdout": "unseen queries, one per line: each patch is tested on them",
            "seed": "of the controls, and of the intervals' resamples (default {default})",
            "budget": "seconds that choosing the ordinary patch may take (default {default})",
        },
        complete=complete_exam,
    ),
)
"""Everything that may be asked, through whichever door."""


def operation_of(name: str) -> Operation:
    """The operation of that name."""
    return next(operation for operation in OPERATIONS if operation.name == name)
