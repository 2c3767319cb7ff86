"""``icltui compile``: a context becomes one adapter; exit 1 and nothing written where it would harm."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import DEMO, Compile, Event, QueryWritten
from icltui.api.operation import operation_of
from icltui.cli.common import check_paths, load_model, load_request, local_engine
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_operation, add_options, flat_values
from icltui.cli.output import check_new_target, stdout_to_stderr, terminal_width, write_text
from icltui.storage.paths import real_path, typed_path
from icltui.storage.query_file import without_answers
from icltui.storage.sessions import write_session
from icltui.text.escape import token_text
from icltui.values import CompiledFormat, Session
from icltui.values.compilation import Compilation
from icltui.values.errors import BadInput
from icltui.values.prompt import layers_text

FORMATS: tuple[CompiledFormat, ...] = ("peft", "gguf-lora")
_TITLES = {
    **dict.fromkeys(("queries", "holdout", "calibrate", "n_queries", "seed"), "queries"),
    **dict.fromkeys(("layers", "budget", "force"), "patch"),
}
"""The groups of options in the help, where they are not the usual ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    operation = operation_of("compile")
    unset = {"default": None}
    changes: dict[str, dict[str, Any]] = {
        **dict.fromkeys([*operation.chosen, "n_queries", "seed"], unset),
        "context": {"required": False},
        "cross_fit": unset | {"action": argparse.BooleanOptionalAction},
    }
    groups = add_operation(parser, operation, _TITLES, **changes)
    groups["patch"].description = "what is not given is chosen by leave-one-out"
    add_options(parser.add_argument_group("model"), "model")
    output = parser.add_argument_group("output")
    output.add_argument(
        "-o",
        "--output",
        dest="target",
        metavar="PATH",
        type=typed_path,
        help="a folder (peft) or a file (gguf-lora) that does not exist yet; without it nothing is written",
    )
    output.add_argument(
        "--to",
        choices=FORMATS,
        default="peft",
        help="a LoRA adapter for PEFT, or for llama.cpp (default peft)",
    )
    output.add_argument(
        "--save", metavar="SESSION.json", type=typed_path, help="save the result as a session too"
    )
    output.add_argument(
        "--format", choices=("text", "json"), default="text", help="of the report (default text)"
    )
    parser.set_defaults(output=None)  # where the report goes: to stdout


def compile(args: argparse.Namespace) -> int:
    """``icltui compile``."""
    from icltui.report.answer import result_json
    from icltui.report.compilation import compile_text

    request = _request(args)
    if args.target is not None:
        check_new_target(args.target)
    check_paths(args)
    if None not in (args.save, args.target) and real_path(args.save) == real_path(args.target):
        raise BadInput(f"-o and --save both name {str(args.save)!r}: give each a place of its own")
    engine = local_engine()
    model = load_model(engine, load_request(args, None))
    with _show_progress(sys.stderr) as on_event, stdout_to_stderr():
        compilation = run_to_result.compile(engine, request, on_event)
    if args.format == "json":
        text = result_json(model, request, compilation)
    else:
        text = compile_text(model, compilation, terminal_width())
    write_text(args, text)  # first: if the session cannot be saved, the text is not lost
    if args.save is not None:
        session = compiled_session(request, compilation, model.n_layers)
        write_session(args.save, replace(session, title=args.save.stem, model=model))
    return 1 if compilation.refused and not compilation.forced else 0


def compiled_session(request: Compile, compilation: Compilation, n_layers: int) -> Session:
    """The session whose generation, replay and export make the same patch."""
    return Session(
        prompt=replace(request.prompt, query=compilation.query),
        layers=layers_text(compilation.chosen.layers, n_layers),
        recipe=compilation.recipe,
        holdout=request.holdout,
        compilation=compilation,
    )


def _request(args: argparse.Namespace) -> Compile:
    """The request that the options amount to.

    Raises:
        BadInput: a value that cannot be, or an option that would do nothing.
    """
    values = flat_values(args, operation_of("compile"))
    for name in ("queries", "holdout"):
        values |= {name: without_answers(values[name])} if name in values else {}
    request = operation_of("compile").request_of(values)
    assert isinstance(request, Compile)
    if args.target is None:
        return request
    return replace(request, format=args.to, path=str(args.target))


@contextmanager
def _show_progress(stream: TextIO) -> Iterator[Callable[[Event], None]]:
    """On a terminal the progress, and each query that the model writes as a line."""
    with show_load_progress(stream, DEMO) as on_progress:

        def on_event(event: Event) -> None:
            if isinstance(event, QueryWritten) and stream.isatty():
                stream.write(f"\r\x1b[Kquery {event.done}: {token_text(event.query)}\n")
            on_progress(event)

        yield on_event
