"""The command line's arguments: groups of options that commands share, and what their values must look like."""

import argparse
from collections.abc import Callable
from typing import Any, get_args

from icltui.api.messages import DEMO, DeviceMap
from icltui.storage.paths import typed_path
from icltui.values import Precision, Quantize

SITES = ("mlp", "norm", "down", "block")
_DTYPES = "auto, float32, float64, bfloat16, float16"


def given(add_arguments: Callable[[argparse.ArgumentParser], object], args: argparse.Namespace) -> list[str]:
    """Those of the optional options that ``add_arguments`` adds whose value in ``args`` is not the default."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return [
        max(action.option_strings, key=len)
        for action in parser._actions
        if not action.required and getattr(args, action.dest) != action.default
    ]


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
