"""The command line's words: every command, every option, and the help that goes with them.

Leaves an :class:`argparse.Namespace`; what the commands do is in ``cli``. Imports nothing heavy, so that
``--help`` and ``--version`` answer at once.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from icltui import __version__
from icltui.api import DEMO, DeviceMap, Quantize
from icltui.errors import BadInput

SITES = ("mlp", "norm", "down", "block")
COMMANDS = ("measure", "verify", "generate", "engine", "demo", "bench")
_DTYPES = "auto, float32, float64, bfloat16, float16"


def _seed(text: str) -> int:
    """A seed that every generator takes."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("a seed must be from 0 to 2^63 - 1")
    return number


def _site(text: str) -> tuple[str, str]:
    """A place given by hand: its key and its path."""
    key, _, path = text.partition("=")
    if key not in SITES or "{layer}" not in path:
        keys = ", ".join(SITES)
        example = "mlp=model.layers.{layer}.mlp"
        raise argparse.ArgumentTypeError(f"{text!r} is no place: write {keys} and a path, such as {example}")
    return key, path


class _AddSite(argparse.Action):
    """Collects the places given by hand, each key once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        key, path = values
        sites = getattr(namespace, self.dest)
        if key in sites:
            raise argparse.ArgumentError(self, f"{key} is given twice: give each place once")
        setattr(namespace, self.dest, {**sites, key: path})


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
    if argv and argv[0] == "verify" and "--zoo" in argv:  # a command of its own: no prompt, no model
        return _zoo().parse_args(argv[1:])
    if argv and argv[0] in COMMANDS:
        return _commands().parse_args(argv)
    return _explorer().parse_args(argv)


def prompt_options(args: argparse.Namespace) -> list[str]:
    """The explorer's options that mean nothing without a prompt, and yet were given."""
    usual = _explorer().parse_args([])
    names = ("unit", "bos", "chat", "positions", "layers", "dynamics", "reference")
    return [f"--{name}" for name in names if getattr(args, name) != getattr(usual, name)]


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
        "  demo       train or evaluate the embedded model, make its example sessions\n"
        "  bench      what the packed measure costs, against other ways to the same numbers\n\n"
        "exit codes: 0 done, 1 a check failed, 2 bad use or input, 3 model not loaded, 130 interrupted",
    )
    parser.set_defaults(command="explore")
    parser.add_argument("--version", action="version", version=f"icltui {__version__}")
    parser.add_argument("session", nargs="?", metavar="SESSION.json", help="open a saved session")
    parser.add_argument(
        "--engine", metavar="CMD", help="run the engine by this command, such as 'ssh gpubox icltui engine'"
    )
    _add_dynamics(_add_prompt(parser, required=False))
    _add_model(parser)
    return parser


def _commands() -> argparse.ArgumentParser:
    parser = _Parser(prog="icltui")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    measure = commands.add_parser("measure", help="per-unit, per-layer measures")
    prompt = _add_job(measure, ("table", "json", "csv"))
    _add_dynamics(prompt)
    prompt.add_argument(
        "--pairs", action="store_true", help="compare every unit with every other (not in csv)"
    )
    verify = commands.add_parser(
        "verify",
        help="exactness, controls, noise floor",
        epilog="icltui verify --zoo proves it on a tiny model of every architecture (--zoo --help tells more)",
    )
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
    _add_bench(commands.add_parser("bench", help="what the packed measure costs, against other ways"))
    return parser


def _zoo() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="icltui verify --zoo",
        description="Prove the patch on a tiny random model of every architecture that Transformers offers.",
    )
    parser.set_defaults(command="zoo")
    parser.add_argument("--zoo", action="store_true", help="this command; it takes no prompt and no model")
    parser.add_argument(
        "--family", nargs="+", action="extend", default=[], metavar="NAME", help="only these (default: all)"
    )
    _add_output(parser, ("table", "json"))
    return parser


def _add_prompt(parser: argparse.ArgumentParser, required: bool) -> argparse._ArgumentGroup:
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
        "--chat",
        action="store_true",
        help="context and query as one user turn of the tokenizer's chat template, its header kept in both runs",
    )
    group.add_argument(
        "--positions",
        choices=("reset", "keep"),
        default="reset",
        help="the query right behind what is left of the context, or where the full context puts it (default reset)",
    )
    group.add_argument(
        "--layers", default=None, metavar="L", help="all, last, or such as 0,3,5-8 (default all)"
    )
    return group


def _add_dynamics(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dynamics",
        choices=("grow", "shrink", "drop"),
        default="grow",
        help="units arrive from the left, leave from the left, or leave one at a time (default grow)",
    )
    group.add_argument(
        "--reference",
        choices=("free", "local"),
        default="free",
        help="a missing unit was never there, or only each layer's own attention may not see it (default free)",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model", metavar="M", default=None, help=f"Hugging Face id or folder (default: {DEMO})"
    )
    group.add_argument("--revision", metavar="R", default=None, help="branch, tag or commit on the hub")
    group.add_argument("--dtype", default="auto", metavar="T", help=_DTYPES)
    group.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N, mps")
    group.add_argument(
        "--device-map",
        choices=get_args(DeviceMap),
        default="none",
        help="spread the layers over all GPUs, and the main memory if need be",
    )
    group.add_argument(
        "--quantize",
        choices=get_args(Quantize),
        default="none",
        help="weights in 8 or 4 bits, by bitsandbytes",
    )
    group.add_argument(
        "--allow-pickle", action="store_true", help="take weights that are pickles, which can run code"
    )
    group.add_argument("--trust-remote-code", action="store_true", help="run code that comes with the model")
    group.add_argument(
        "--site",
        dest="sites",
        action=_AddSite,
        type=_site,
        default={},
        metavar="KEY=PATH",
        help=f"a place that is not found by itself: {', '.join(SITES)} = a module's path with {{layer}} in it; "
        "may be repeated",
    )


def _add_job(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> argparse._ArgumentGroup:
    prompt = _add_prompt(parser, required=True)
    _add_model(parser)
    group = _add_output(parser, formats)
    group.add_argument("--save", metavar="SESSION.json", type=Path, help="save the result as a session too")
    return prompt


def _add_output(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=formats, default=formats[0], help=f"default {formats[0]}")
    group.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there instead of to stdout")
    return group


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


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="M",
        default=None,
        help="Hugging Face id or folder, built as Llama is (default: 6 layers, width 384, random)",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="D", help="auto, cpu, cuda, cuda:N, mps (default cpu)"
    )
    parser.add_argument(
        "--threads", type=_positive, metavar="N", help="of torch on the CPU (default: torch's own)"
    )
    parser.add_argument(
        "-n",
        type=_positives,
        default=(64, 256, 1024),
        metavar="N,…",
        help="context tokens (default 64,256,1024)",
    )
    parser.add_argument(
        "-q", type=_positives, default=(1, 4, 16), metavar="Q,…", help="query tokens (default 1,4,16)"
    )
    parser.add_argument(
        "--repeat", type=_positive, default=3, metavar="K", help="runs of each way (default 3)"
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        default=120,
        metavar="SECONDS",
        help="leave out a way where one run would take longer (default 120)",
    )
    parser.add_argument(
        "--no-memory",
        dest="memory",
        action="store_false",
        help="times alone; else each way runs once more, alone",
    )


def _positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small: at least 1 is needed")
    return number


def _positives(text: str) -> tuple[int, ...]:
    """Sizes with commas between them, ascending, each once."""
    return tuple(sorted({_positive(part) for part in text.split(",")}))
