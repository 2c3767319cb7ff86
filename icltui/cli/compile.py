"""``icltui compile``: a context becomes one adapter; exit 1 and nothing written where it would harm."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import DEMO, Compile, Event, QueryWritten
from icltui.api.option_table import check_options, option_of
from icltui.cli.common import check_paths, load_model, load_request, local_engine, read_prompt
from icltui.cli.load_progress import show_load_progress
from icltui.cli.options import add_option, add_options, values_of
from icltui.cli.output import check_new_target, stdout_to_stderr, terminal_width, write_text
from icltui.storage.paths import real_path, typed_path
from icltui.storage.query_file import without_answers
from icltui.storage.sessions import write_session
from icltui.text.escape import token_text
from icltui.values import CompiledFormat, Session
from icltui.values.bounds import LAYERS
from icltui.values.compilation import Compilation
from icltui.values.errors import BadInput
from icltui.values.prompt import layers_text, resolve_layers
from icltui.values.recipe import CHOSEN, COMPILED, idle

FORMATS: tuple[CompiledFormat, ...] = ("peft", "gguf-lora")
_PROMPT = ("context", "query", "bos", "chat", "positions")
_PATCH = ("metric", "epsilon", "background", "ridge", "components", "carrier", "alpha", "n_fitted", "rank")
_VARIED = ("epsilon", "ridge", "components", "alpha", "rank")
_MADE_BY = {"n_queries": ("repeat", "self"), "seed": ("self",)}
"""Kinds of calibration that an option concerns."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    prompt = parser.add_argument_group("prompt")
    for name in _PROMPT:
        more = {"help": "one more unseen query"} if name == "query" else {}
        add_option(prompt, option_of(name), **more)
    queries = parser.add_argument_group("queries")
    add_option(
        queries, option_of("queries"), help="calibration queries, one per line: the patch is made from them"
    )
    add_option(
        queries, option_of("holdout"), help="unseen queries, one per line: the patch is tested on them"
    )
    add_option(queries, option_of("calibrate"), default=None)
    add_option(queries, option_of("n_queries"), default=None)
    add_option(queries, option_of("seed"), default=None, help="of what the model writes (default 0)")
    patch = parser.add_argument_group("patch", "what is not given is chosen by leave-one-out")
    add_option(patch, option_of("layers"), default=None, help="all, or a list such as 0,3,5-8")
    for name in _PATCH:
        add_option(patch, option_of(name), default=None, help=_patch_help(name))
    cross_fit = {"default": None, "action": argparse.BooleanOptionalAction}
    add_option(patch, option_of("cross_fit"), **cross_fit, help=_patch_help("cross_fit"))
    add_option(patch, option_of("budget"))
    add_option(patch, option_of("force"))
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


def _patch_help(name: str) -> str:
    """The option's help, with the value that a compilation begins at in the place of its usual default."""
    option = option_of(name)
    if name not in CHOSEN:
        return option.description
    begin = getattr(COMPILED, name)
    begin = f"{begin:g}" if isinstance(begin, float) else "yes" if begin is True else begin
    return f"{option.help.split(' (default')[0]} ({'begins at' if name in _VARIED else 'default'} {begin})"


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
    given = {name: value for name, value in values_of(args, type(COMPILED)).items() if name != "seed"}
    given |= {"queries": without_answers(given["queries"])} if "queries" in given else {}
    recipe = replace(COMPILED, **given)
    check_options(recipe)
    made_of_many = replace(recipe, queries=recipe.queries or ("one", "another"))
    for option in map(option_of, idle(made_of_many)):
        if option.field in given:
            raise BadInput(f"{option.flag} does nothing here: it goes with {option.goes_with}")
    kind = args.calibrate or ("user" if recipe.queries else "self")
    if (kind == "user") != bool(recipe.queries):
        raise BadInput(
            "--calibrate user needs --queries FILE"
            if kind == "user"
            else f"--queries gives the calibration queries, and --calibrate {kind} makes others: leave one of them out"
        )
    for name, kinds in _MADE_BY.items():
        if kind not in kinds and getattr(args, name) is not None:
            way = " or ".join(kinds)
            raise BadInput(f"{option_of(name).flag} does nothing here: it goes with --calibrate {way}")
    values: dict[str, Any] = values_of(args, Compile)
    values["holdout"] = without_answers(values.get("holdout", ()))
    if args.layers is not None and args.layers != "last":
        resolve_layers(args.layers, LAYERS)
    pinned = (*(name for name in CHOSEN if name in given), *(["layers"] if args.layers is not None else []))
    more = {
        "prompt": read_prompt(args),
        "recipe": recipe,
        "pinned": pinned,
        "calibrate": kind,
        "format": "none" if args.target is None else args.to,
        "path": "" if args.target is None else str(args.target),
    }
    return Compile(**values | more)


@contextmanager
def _show_progress(stream: TextIO) -> Iterator[Callable[[Event], None]]:
    """On a terminal the progress, and each query that the model writes as a line."""
    with show_load_progress(stream, DEMO) as on_progress:

        def on_event(event: Event) -> None:
            if isinstance(event, QueryWritten) and stream.isatty():
                stream.write(f"\r\x1b[Kquery {event.done}: {token_text(event.query)}\n")
            on_progress(event)

        yield on_event
