"""The parser of the command line, made of each command's own arguments.

Nothing heavy is imported, so that ``--help`` and ``--version`` answer at once.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from icltui import __version__
from icltui.cli import (
    bench,
    compile,
    curves,
    demo,
    exam,
    explore,
    export,
    generate,
    heads,
    help,
    mcp,
    measure,
    patch,
    replay,
    serve,
    study,
    sweep,
    verify,
)
from icltui.system.streams import print_text
from icltui.values.errors import BadInput

COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "measure": ("per-unit, per-layer measures of a context as table, json or csv", measure.add_arguments),
    "verify": ("prove the patch on this model and prompt; exit 1 when a check fails", verify.add_arguments),
    "generate": ("three lanes of text: with context, query only, query + ΔW", generate.add_arguments),
    "compile": (
        "a context becomes one adapter; exit 1 where it would harm",
        compile.add_arguments,
    ),
    "curves": ("loss by position with and without context, and the ICL score", curves.add_arguments),
    "heads": ("induction heads, and δ by head and unit of the context", heads.add_arguments),
    "replay": ("compute a session's results again; exit 1 when something differs", replay.add_arguments),
    "export": (
        "a session as table, report or figure; its patch for other programs",
        export.add_arguments,
    ),
    "exam": ("every patch of a session's context, put to one test", exam.add_arguments),
    "sweep": ("many prompts, models and recipes, resumable at any moment", sweep.add_arguments),
    "study": ("a question about contexts and weights, run on prompts made for it", study.add_arguments),
    "patch": ("join adapters made from different contexts into one", patch.add_arguments),
    "serve": ("the operations over HTTP, whole or as streams of events", serve.add_arguments),
    "mcp": ("the same for agents, over the Model Context Protocol", mcp.add_arguments),
    "engine": ("the engine as a server on stdin and stdout, for --engine", lambda _parser: None),
    "config": ("where everything is kept, and the settings in force", lambda _parser: None),
    "demo": ("train or evaluate the embedded model, make its example sessions", demo.add_arguments),
    "bench": ("what measuring, decoding, the screen and the start cost here", bench.add_arguments),
    "help": ("the manual, a page for each topic", help.add_arguments),
}
"""What each command is for, and what adds its arguments."""


class Parser(argparse.ArgumentParser):
    """Raises its complaints as errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002 (help and version; errors are raised)
        print_text(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one call, with its ``command``; the explorer is the command ``explore``.

    Raises:
        BadInput: arguments that are not understood.
        SystemExit: after --help or --version.
    """
    if argv and argv[0] == "verify" and "--zoo" in argv:  # a command of its own: no prompt, no model
        return _zoo().parse_args(argv[1:])
    if argv and argv[0] in COMMANDS:
        return _commands().parse_args(argv)
    return _explorer().parse_args(argv)


def _explorer() -> argparse.ArgumentParser:
    parser = Parser(
        prog="icltui",
        description="See and use what a context does to a language model's weights.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "commands (icltui COMMAND --help shows more):",
                *(f"  {name:<10} {purpose}" for name, (purpose, _) in COMMANDS.items()),
                "\nexit codes: 0 done, 1 a check failed, 2 bad use or input, 3 model not loaded,",
                "130 interrupted",
            ]
        ),
    )
    parser.set_defaults(command="explore")
    parser.add_argument("--version", action="version", version=f"icltui {__version__}")
    explore.add_arguments(parser)
    return parser


def _commands() -> argparse.ArgumentParser:
    parser = Parser(prog="icltui")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (purpose, add_arguments) in COMMANDS.items():
        add_arguments(commands.add_parser(name, help=purpose))
    return parser


def _zoo() -> argparse.ArgumentParser:
    parser = Parser(prog="icltui verify --zoo")
    parser.set_defaults(command="zoo")
    verify.add_zoo_arguments(parser)
    return parser
