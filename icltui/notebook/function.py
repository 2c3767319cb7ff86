"""An operation as a function: its name, its keyword arguments, their types and defaults, and a page of help.

Enters: an operation of the table. Leaves: a function that asks the engine, in this process, and its signature.
"""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import Any

from icltui.api import run_to_result
from icltui.api.engine import OnEvent
from icltui.api.operation import Operation
from icltui.api.option import Option
from icltui.api.option_table import without_flags
from icltui.notebook.held_model import engine_on
from icltui.notebook.plain_type import plain_number, plain_type, words_for
from icltui.notebook.unwrap import check_order
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    Generation,
    LossCurves,
    Measurement,
    Verification,
)

RESULTS: dict[str, type] = {
    "measure": Measurement,
    "generate": Generation,
    "verify": Verification,
    "curves": LossCurves,
    "heads": AttentionHeads,
    "compile": Compilation,
    "exam": Exam,
}
"""What each operation's function returns."""

TEXTS = ("context", "query")
"""The options that are given by position, after the model and its tokenizer."""

_COMMON = (
    Parameter("model", Parameter.POSITIONAL_OR_KEYWORD, annotation=object),
    Parameter("tokenizer", Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=object),
)
_LAST = (
    Parameter("sites", Parameter.KEYWORD_ONLY, default=None, annotation=Mapping[str, str] | None),
    Parameter("on_event", Parameter.KEYWORD_ONLY, default=None, annotation=OnEvent | None),
)
COMMON_HELP = {
    "model": "a model of transformers in memory, which stays as it is; or a model's name or folder, or 'demo'",
    "tokenizer": "the model's tokenizer; none where a name is given",
    "sites": "modules that are not found automatically, such as {'mlp': 'model.layers.{layer}.mlp'}",
    "on_event": "called with every event of the engine as it comes; what it raises ends the work",
}

_NO_MORE: Mapping[str, str] = MappingProxyType({})


def function_of(operation: Operation) -> Callable[..., Any]:
    """The operation's function, with its signature and help."""

    def ask(
        model: Any,
        tokenizer: Any = None,
        context: str = "",
        query: str = "",
        *,
        sites: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
        **options: Any,
    ) -> Any:
        check_order(model, tokenizer)  # first, as it is quick
        values = {"context": context, "query": query, **options}
        request = operation.read({name: plain_number(value) for name, value in values.items()})
        on_event = on_event or (lambda _event: None)
        with engine_on(model, tokenizer, sites, on_event) as engine:
            return run_to_result.answer(engine, request, on_event)

    signature = signature_of(operation)
    ask.__name__ = ask.__qualname__ = operation.name
    ask.__module__ = "icltui"
    ask.__doc__ = help_of(operation)
    ask.__signature__ = signature  # type: ignore[attr-defined]
    ask.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    ask.__annotations__["return"] = signature.return_annotation
    return ask


def signature_of(operation: Operation) -> Signature:
    """Model, tokenizer, context and query by position; every other option by its name."""
    options = {option.field: option for option in operation.options}
    by_position = [
        parameter_of(operation, options.pop(name), Parameter.POSITIONAL_OR_KEYWORD) for name in TEXTS
    ]
    by_name = [parameter_of(operation, option, Parameter.KEYWORD_ONLY) for option in options.values()]
    return Signature([*_COMMON, *by_position, *by_name, *_LAST], return_annotation=RESULTS[operation.name])


def parameter_of(operation: Operation, option: Option, kind: Any) -> Parameter:
    """The parameter that gives the option's value."""
    return Parameter(
        option.field,
        kind,
        default=operation.default(option),
        annotation=plain_type(operation.annotation(option)),
    )


def help_of(operation: Operation) -> str:
    """What the function gives, and each argument with its type, default and meaning."""
    lines = arguments_help(operation, signature_of(operation))
    return (
        f"{operation.purpose}\n\nArgs:\n{lines}\n\nRaises:\n"
        "    BadInput: a value that cannot be, or something that is no model or no tokenizer.\n"
        "    ModelError: a model that no proof accepts, or that cannot be loaded.\n"
        "    EngineError: the engine failed while it worked, for want of memory for instance.\n"
    )


def arguments_help(operation: Operation, signature: Signature, more: Mapping[str, str] = _NO_MORE) -> str:
    """A line for each parameter; ``more`` says what those are that are no options, beside the common ones."""
    return "\n".join(_arguments(operation, signature, {**COMMON_HELP, **more}))


def _arguments(operation: Operation, signature: Signature, others: Mapping[str, str]) -> Iterator[str]:
    options = {option.field: option for option in operation.options}
    for parameter in signature.parameters.values():
        name = parameter.name
        words = others.get(name) or _meaning(operation, options[name])
        kind = "" if name in ("model", "tokenizer") else words_for(parameter.annotation)
        default = "" if parameter.default is Parameter.empty else f"default {parameter.default!r}"
        brackets = ", ".join(filter(None, (kind, default)))
        line = f"{name} ({brackets}): {words}" if brackets else f"{name}: {words}"
        yield textwrap.fill(line, 100, initial_indent=" " * 4, subsequent_indent=" " * 8)


def _meaning(operation: Operation, option: Option) -> str:
    said = r" \(default(: empty| [^():]*)\)"  # beside the type
    words = re.sub(said, "", operation.description(option))
    goes_with = f" (with {without_flags(option.goes_with)})" if option.goes_with else ""
    return words + goes_with
