"""The command line's words: every command, every option, and the help that goes with them.

Leaves an :class:`argparse.Namespace`; what the commands do is in ``cli``. Imports nothing heavy, so that
``--help`` and ``--version`` answer at once.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from icltui import __version__
from icltui.api import DEMO
from icltui.errors import BadInput

COMMANDS = ("measure", "verify", "generate", "engine", "demo")
_DTYPES = "auto, float32, float64, bfloat16, float16"


def _seed(text: str) -> int:
    """A seed that every generator takes."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("a seed must be from 0 to 2^63 - 1")
    return number


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything here does."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see {self.prog} --help)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The words of one call, with ``command`` among them; the explorer is the command ``explore``.

    Raises:
        BadInput: words that are not understood.
        SystemExit: after --help or --version.
    """
    if argv and argv[0] in COMMANDS:
        return _commands().parse_args(argv)
    return _explorer().parse_args(argv)


def read_text(text: str, is_query: bool = False) -> str:
    """``text`` itself, or the content of FILE where it is ``@FILE``; a query loses the file's last line end.

    Raises:
        BadInput: a file that cannot be read as text.
    """
    if not text.startswith("@"):
        return text
    path = Path(text[1:]).expanduser()
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise BadInput(f"cannot read {str(path)!r}: {reason}") from error
    return content.removesuffix("\n") if is_query else content


def _explorer() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="icltui",
        description="See and use what a context does to a language model's weights.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands (icltui COMMAND --help tells more):\n"
        "  measure    per-unit, per-layer measures of a context as table, json or csv\n"
        "  verify     prove the patch on this model and prompt; exit 1 when a check fails\n"
        "  generate   three lanes of text: with context, query only, query + ΔW\n"
        "  engine     the engine as a server on stdin and stdout, for --engine\n"
        "  demo       train or evaluate the embedded model, make its example sessions\n\n"
        "exit codes: 0 done, 1 a check failed, 2 bad use or input, 3 model not loaded, 130 interrupted",
    )
    parser.set_defaults(command="explore")
    parser.add_argument("--version", action="version", version=f"icltui {__version__}")
    parser.add_argument("session", nargs="?", metavar="SESSION.json", help="open a saved session")
    parser.add_argument(
        "--engine", metavar="CMD", help="run the engine by this command, such as 'ssh gpubox icltui engine'"
    )
    _add_prompt(parser, required=False)
    _add_model(parser)
    return parser


def _commands() -> argparse.ArgumentParser:
    parser = _Parser(prog="icltui")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    measure = commands.add_parser("measure", help="per-unit, per-layer measures")
    _add_job(measure, ("table", "json", "csv"))
    verify = commands.add_parser("verify", help="exactness, controls, noise floor")
    _add_job(verify, ("table", "json"))
    verify.add_argument("--seed", type=_seed, default=0, help="of the control patches (default 0)")
    generate = commands.add_parser("generate", help="the three lanes")
    _add_job(generate, ("text", "json"))
    generate.add_argument(
        "--mode",
        choices=("per-step", "frozen"),
        default="per-step",
        help="a new patch per token, or one held",
    )
    generate.add_argument(
        "--components", choices=("both", "weights", "shift"), default="both", help="ΔW and Δb, or one alone"
    )
    generate.add_argument("--tokens", type=int, default=12, metavar="N", help="tokens per lane (default 12)")
    commands.add_parser("engine", help="the stdio server")
    _add_demo(commands.add_parser("demo", help="the embedded model"))
    return parser


def _add_prompt(parser: argparse.ArgumentParser, required: bool) -> None:
    group = parser.add_argument_group("prompt")
    group.add_argument(
        "-c", "--context", metavar="TEXT|@FILE", default=None, help="the context (default: empty)"
    )
    group.add_argument("-q", "--query", metavar="TEXT|@FILE", required=required, help="the query behind it")
    group.add_argument(
        "--unit",
        default="token",
        metavar="UNIT",
        help="token, line, sentence, or a separator to cut the context at",
    )
    group.add_argument(
        "--bos",
        choices=("auto", "always", "never"),
        default="auto",
        help="special tokens in front, kept in both runs (default auto: as the tokenizer does)",
    )
    group.add_argument(
        "--layers", default=None, metavar="L", help="all, last, or such as 0,3,5-8 (default all)"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model", metavar="M", default=None, help=f"Hugging Face id or folder (default: {DEMO})"
    )
    group.add_argument("--revision", metavar="R", default=None, help="branch, tag or commit on the hub")
    group.add_argument("--dtype", default="auto", metavar="T", help=_DTYPES)
    group.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N, mps")


def _add_job(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> None:
    _add_prompt(parser, required=True)
    _add_model(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=formats, default=formats[0], help=f"default {formats[0]}")
    group.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there instead of to stdout")
    group.add_argument("--save", metavar="SESSION.json", type=Path, help="save the result as a session too")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, parser_class=_Parser)
    train = actions.add_parser(
        "train", help="train the embedded model from a seed, about an hour on one core"
    )
    train.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to save it")
    train.add_argument("--seed", type=_seed, default=0)
    train.add_argument("--steps", type=int, default=4500, metavar="N", help="default 4500")
    examples = actions.add_parser("examples", help="make the sessions that come with the program")
    examples.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where to save them"
    )
    evaluate = actions.add_parser("evaluate", help="score a demo model on fresh prompts")
    evaluate.add_argument(
        "--folder", type=Path, default=None, metavar="FOLDER", help="default: the embedded model"
    )
    evaluate.add_argument("--seed", type=_seed, default=1, help="of the prompts (default 1)")
    evaluate.add_argument("--prompts", type=int, default=400, metavar="N", help="per task (default 400)")
    evaluate.add_argument("--save", action="store_true", help="write evaluation.json beside the weights")
