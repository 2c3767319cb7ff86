"""The command line's arguments: groups of options that commands share, and what their values must look like."""

import argparse
from typing import Any, NoReturn, get_args

from icltui.api.messages import DEMO, DeviceMap
from icltui.storage.paths import typed_path
from icltui.system.streams import print_text
from icltui.values import Precision, Quantize
from icltui.values.errors import BadInput

SITES = ("mlp", "norm", "down", "block")
_DTYPES = "auto, float32, float64, bfloat16, float16"


class Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything here does."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002 (help and version; errors are raised)
        print_text(message)


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


def seed(text: str) -> int:
    """A seed that every generator takes."""
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("a seed must be from 0 to 2^63 - 1")
    return number


def site(text: str) -> tuple[str, str]:
    """A place given by hand: its key and its path."""
    key, _, path = text.partition("=")
    if key not in SITES or "{layer}" not in path:
        keys = ", ".join(SITES)
        example = "mlp=model.layers.{layer}.mlp"
        raise argparse.ArgumentTypeError(f"{text!r} is no place: write {keys} and a path, such as {example}")
    return key, path


def add_prompt(parser: argparse.ArgumentParser, required: bool) -> argparse._ArgumentGroup:
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


def add_dynamics(group: argparse._ArgumentGroup) -> None:
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
    group.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="model",
        help="compute in the model's own numbers, or in float32 with the same weights (default model)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
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
        type=site,
        default={},
        metavar="KEY=PATH",
        help=f"a place that is not found by itself: {', '.join(SITES)} = a module's path with {{layer}} in it; "
        "may be repeated",
    )


def add_job(
    parser: argparse.ArgumentParser, formats: tuple[str, ...], each: bool = False
) -> argparse._ArgumentGroup:
    """What every headless job takes; with ``each`` a file of queries may stand in place of ``-q``."""
    prompt = add_prompt(parser, required=not each)
    if each:
        prompt.add_argument(
            "--each",
            metavar="FILE",
            type=typed_path,
            help="one run for each line of the file, in place of -q",
        )
    add_model(parser)
    group = add_output(parser, formats)
    group.add_argument(
        "--save", metavar="SESSION.json", type=typed_path, help="save the result as a session too"
    )
    return prompt


def add_output(parser: argparse.ArgumentParser, formats: tuple[str, ...]) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=formats, default=formats[0], help=f"default {formats[0]}")
    group.add_argument(
        "-o", "--output", metavar="FILE", type=typed_path, help="write there instead of to stdout"
    )
    return group


def add_demo(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, parser_class=Parser)
    train = actions.add_parser(
        "train", help="train the embedded model from a seed, about an hour on one core"
    )
    train.add_argument(
        "-o", "--output", type=typed_path, required=True, metavar="FOLDER", help="where to save it"
    )
    train.add_argument("--seed", type=seed, default=0)
    train.add_argument("--steps", type=int, default=4500, metavar="N", help="default 4500")
    examples = actions.add_parser("examples", help="make the sessions that come with the program")
    examples.add_argument(
        "-o", "--output", type=typed_path, required=True, metavar="FOLDER", help="where to save them"
    )
    actions.add_parser("patches", help="what each kind of patch achieves on the example prompts")
    evaluate = actions.add_parser("evaluate", help="score a demo model on fresh prompts")
    evaluate.add_argument(
        "--folder", type=typed_path, default=None, metavar="FOLDER", help="default: the embedded model"
    )
    evaluate.add_argument("--seed", type=seed, default=1, help="of the prompts (default 1)")
    evaluate.add_argument("--prompts", type=int, default=400, metavar="N", help="per task (default 400)")
    evaluate.add_argument("--save", action="store_true", help="write evaluation.json beside the weights")


def add_bench(parser: argparse.ArgumentParser) -> None:
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
        "--threads", type=positive, metavar="N", help="of torch on the CPU (default: torch's own)"
    )
    parser.add_argument(
        "-n",
        type=positives,
        default=(64, 256, 1024),
        metavar="N,…",
        help="context tokens (default 64,256,1024)",
    )
    parser.add_argument(
        "-q", type=positives, default=(1, 4, 16), metavar="Q,…", help="query tokens (default 1,4,16)"
    )
    parser.add_argument(
        "--repeat", type=positive, default=3, metavar="K", help="runs of each way (default 3)"
    )
    parser.add_argument(
        "--limit",
        type=positive,
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
    parser.add_argument(
        "--decode",
        type=positive,
        default=64,
        metavar="T",
        help="tokens that each lane decodes, with and without patches (default 64)",
    )
    parser.add_argument(
        "--only",
        choices=("race", "decode", "screen"),
        help="the race, the decoding, or the screen on a pseudo-terminal, alone",
    )


def positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small: at least 1 is needed")
    return number


def positives(text: str) -> tuple[int, ...]:
    """Sizes with commas between them, ascending, each once."""
    return tuple(sorted({positive(part) for part in text.split(",")}))
