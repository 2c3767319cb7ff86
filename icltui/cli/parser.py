"""The command line's words: every command, every option, and the help that goes with them.

Leaves an :class:`argparse.Namespace`; what the commands do is in ``cli``. Imports nothing heavy, so that
``--help`` and ``--version`` answer at once.
"""

import argparse
from collections.abc import Sequence

from icltui import __version__
from icltui.cli.export_options import add_export
from icltui.cli.options import (
    Parser,
    add_bench,
    add_demo,
    add_dynamics,
    add_job,
    add_model,
    add_output,
    add_prompt,
    seed,
)
from icltui.cli.patch_options import add_recipe, add_sampling, add_tests
from icltui.cli.replay_options import add_replay
from icltui.storage import text_file
from icltui.storage.paths import typed_path

COMMANDS = ("measure", "verify", "generate", "replay", "export", "engine", "config", "demo", "bench")


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


def prompt_options(args: argparse.Namespace) -> list[str]:
    """The explorer's options that mean nothing without a prompt, and yet were given."""
    usual = _explorer().parse_args([])
    names = ("unit", "bos", "chat", "positions", "layers", "dynamics", "reference", "precision")
    return [f"--{name}" for name in names if getattr(args, name) != getattr(usual, name)]


def engine_options(args: argparse.Namespace) -> list[str]:
    """The options of *export* that mean nothing where no patch is made, and yet were given."""
    usual = vars(
        _commands().parse_args(["export", str(args.session), "--to", args.to, "-o", str(args.target)])
    )
    named = {"sites": "site", "target": "output"}
    return [
        f"--{named.get(name, name).replace('_', '-')}"
        for name, value in vars(args).items()
        if value != usual[name]
    ]


def read_text(text: str, is_query: bool = False) -> str:
    """``text`` itself, or the content of FILE where it is ``@FILE``; a query loses the file's last line end.

    ``@@`` stands for a text that begins with ``@``.

    Raises:
        BadInput: a file that cannot be read as text.
    """
    if not text.startswith("@"):
        return text
    if text.startswith("@@"):
        return text[1:]
    content = text_file.read_text(typed_path(text[1:]), "name a file, or write @@ where a text begins with @")
    return text_file.without_last_line_end(content) if is_query else content


def _explorer() -> argparse.ArgumentParser:
    parser = Parser(
        prog="icltui",
        description="See and use what a context does to a language model's weights.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands (icltui COMMAND --help tells more):\n"
        "  measure    per-unit, per-layer measures of a context as table, json or csv\n"
        "  verify     prove the patch on this model and prompt; exit 1 when a check fails\n"
        "  generate   three lanes of text: with context, query only, query + ΔW\n"
        "  replay     compute a session's results again; exit 1 when something differs\n"
        "  export     write a session as csv, Markdown or a figure, or its patch for PEFT or llama.cpp\n"
        "  engine     the engine as a server on stdin and stdout, for --engine\n"
        "  config     where everything is kept, and the settings in force\n"
        "  demo       train or evaluate the embedded model, make its example sessions\n"
        "  bench      what the packed measure costs, against other ways to the same numbers\n\n"
        "exit codes: 0 done, 1 a check failed, 2 bad use or input, 3 model not loaded, 130 interrupted",
    )
    parser.set_defaults(command="explore")
    parser.add_argument("--version", action="version", version=f"icltui {__version__}")
    parser.add_argument("session", nargs="?", metavar="SESSION.json", help="open a saved session")
    parser.add_argument(
        "--engine",
        metavar="CMD",
        help="run the engine by this command, found through PATH and started without a shell, such as "
        "'ssh gpubox icltui engine' (default: this program, which imports nothing from the current folder)",
    )
    parser.add_argument("--theme", default="", metavar="NAME", help="colours of the screen, such as nord")
    parser.add_argument(
        "--no-mouse",
        dest="mouse",
        action="store_false",
        help="leave the mouse to the terminal, to select text",
    )
    add_dynamics(add_prompt(parser, required=False))
    add_model(parser)
    return parser


def _commands() -> argparse.ArgumentParser:
    parser = Parser(prog="icltui")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    measure = commands.add_parser("measure", help="per-unit, per-layer measures")
    prompt = add_job(measure, ("table", "json", "csv"))
    add_dynamics(prompt)
    prompt.add_argument(
        "--pairs", action="store_true", help="compare every unit with every other (not in csv)"
    )
    verify = commands.add_parser(
        "verify",
        help="exactness, controls, noise floor",
        epilog="icltui verify --zoo proves it on a tiny model of every architecture (--zoo --help tells more)",
    )
    add_job(verify, ("table", "json"))
    verify.add_argument("--seed", type=seed, default=0, help="of the control patches (default 0)")
    generate = commands.add_parser("generate", help="the three lanes")
    add_job(generate, ("text", "json"), each=True)
    add_recipe(generate)
    add_sampling(generate)
    add_tests(generate)
    add_replay(commands.add_parser("replay", help="compute a session's results again, and say what differs"))
    add_export(
        commands.add_parser("export", help="write what a session records, or its patch for PEFT or llama.cpp")
    )
    commands.add_parser("engine", help="the stdio server")
    commands.add_parser("config", help="where everything is kept, and the settings in force")
    add_demo(commands.add_parser("demo", help="the embedded model"))
    add_bench(commands.add_parser("bench", help="what the packed measure costs, against other ways"))
    return parser


def _zoo() -> argparse.ArgumentParser:
    parser = Parser(
        prog="icltui verify --zoo",
        description="Prove the patch on a tiny random model of every architecture that Transformers offers.",
    )
    parser.set_defaults(command="zoo")
    parser.add_argument("--zoo", action="store_true", help="this command; it takes no prompt and no model")
    parser.add_argument(
        "--family", nargs="+", action="extend", default=[], metavar="NAME", help="only these (default: all)"
    )
    add_output(parser, ("table", "json"))
    return parser
