"""The command line's words: every command, every option, and the help that goes with them.

Leaves an :class:`argparse.Namespace`; what the commands do is in ``cli``. Imports nothing heavy, so that
``--help`` and ``--version`` answer at once.
"""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from icltui import __version__
from icltui.cli import bench, demo, explore, export, generate, help, measure, replay, verify
from icltui.system.streams import print_text
from icltui.values.errors import BadInput

COMMANDS = ("measure", "verify", "generate", "replay", "export", "engine", "config", "demo", "bench", "help")


class Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything here does."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002 (help and version; errors are raised)
        print_text(message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The words of one call, with ``command`` among them; the explorer is the command ``explore``.

    Raises:
        BadInput: words that are not understood.
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
        epilog="commands (icltui COMMAND --help shows more):\n"
        "  measure    per-unit, per-layer measures of a context as table, json or csv\n"
        "  verify     prove the patch on this model and prompt; exit 1 when a check fails\n"
        "  generate   three lanes of text: with context, query only, query + ΔW\n"
        "  replay     compute a session's results again; exit 1 when something differs\n"
        "  export     write a session as csv, Markdown or a figure, or its patch for PEFT or llama.cpp\n"
        "  engine     the engine as a server on stdin and stdout, for --engine\n"
        "  config     where everything is kept, and the settings in force\n"
        "  demo       train or evaluate the embedded model, make its example sessions\n"
        "  bench      what the packed measure costs, against other ways to the same numbers\n"
        "  help       the manual, a page for each topic\n\n"
        "exit codes: 0 done, 1 a check failed, 2 bad use or input, 3 model not loaded, 130 interrupted",
    )
    parser.set_defaults(command="explore")
    parser.add_argument("--version", action="version", version=f"icltui {__version__}")
    explore.add_arguments(parser)
    return parser


def _commands() -> argparse.ArgumentParser:
    parser = Parser(prog="icltui")
    commands = parser.add_subparsers(dest="command", required=True)
    measure.add_arguments(commands.add_parser("measure", help="per-unit, per-layer measures"))
    verify.add_arguments(commands.add_parser("verify", help="exactness, controls, noise floor"))
    generate.add_arguments(commands.add_parser("generate", help="the three lanes"))
    replay.add_arguments(
        commands.add_parser("replay", help="compute a session's results again, and say what differs")
    )
    export.add_arguments(
        commands.add_parser("export", help="write what a session records, or its patch for PEFT or llama.cpp")
    )
    commands.add_parser("engine", help="the stdio server")
    commands.add_parser("config", help="where everything is kept, and the settings in force")
    demo.add_arguments(commands.add_parser("demo", help="the embedded model"))
    bench.add_arguments(
        commands.add_parser("bench", help="what the packed measure costs, against other ways")
    )
    help.add_arguments(commands.add_parser("help", help="the manual, a page for each topic"))
    return parser


def _zoo() -> argparse.ArgumentParser:
    parser = Parser(prog="icltui verify --zoo")
    parser.set_defaults(command="zoo")
    verify.add_zoo_arguments(parser)
    return parser
