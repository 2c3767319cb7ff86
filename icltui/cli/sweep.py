"""``icltui sweep``: many prompts, models and recipes, resumable at any moment."""

import argparse
from typing import Any

from msgspec.structs import replace

from icltui.api.option_table import option_of
from icltui.cli.database_log import add_log
from icltui.cli.model_list import add_models, models_of
from icltui.cli.options import add_option, values_of
from icltui.cli.output import terminal_width
from icltui.cli.run_in_folder import add_run_options, exit_code_of, run_in_folder
from icltui.storage.prompt_file import FIELDS, MOST_PROMPTS, SHOTS, PromptList, PromptSource, read_prompts
from icltui.system.streams import print_error, print_text
from icltui.text.escape import visible
from icltui.values.bounds import LAYERS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, resolve_layers

_EACH = "each"
_MOST_SHOTS = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run every prompt on every model with every recipe, and keep a row for each in DIR, beside controls and the "
        "noise floor. The same command goes on where it was stopped; icltui DIR opens what there is."
    )
    parser.add_argument(
        "prompts",
        metavar="PROMPTS",
        help="a file of prompts (.jsonl, .csv, .tsv; .json of inputs and outputs), or NAME[:SPLIT] of a data set",
    )
    add_log(add_run_options(parser, is_folder_required=True))
    varied = parser.add_argument_group("recipes", "each takes several values; every combination is run")
    several: dict[str, Any] = {"nargs": "+"}
    add_option(
        varied,
        option_of("layers"),
        **several,
        default=["all"],
        help="all, last, each (every layer by itself), or lists such as 0,3,5-8 (default all)",
    )
    add_option(
        varied,
        option_of("mode"),
        **several,
        choices=("per-step", "frozen"),
        default=["per-step"],
        help="a new patch per token of query and answer, or the query's last token's, held (default per-step)",
    )
    add_option(
        varied,
        option_of("components"),
        **several,
        metavar="PARTS",
        default=["both"],
        help="both, weights (ΔW alone), shift (Δb alone) (default both)",
    )
    add_option(
        varied, option_of("alpha"), **several, default=[1.0], help="strengths, 0 to 2, or search (default 1)"
    )
    add_option(
        varied,
        replace(option_of("seed"), flags=("--seeds",)),
        **several,
        default=[0],
        metavar="N",
        help="of the controls and of the text (default 0)",
    )
    prompts = parser.add_argument_group("prompts")
    prompts.add_argument(
        "--limit", metavar="N", type=_read_limit, default=MOST_PROMPTS, help="only the first N prompts"
    )
    prompts.add_argument(
        "--field",
        dest="columns",
        metavar="OURS=THEIRS",
        type=_read_field,
        action="append",
        default=[],
        help=f"what {', '.join(FIELDS)} are called in PROMPTS; may be repeated",
    )
    prompts.add_argument(
        "--shots",
        metavar="K",
        type=_read_shots,
        default=SHOTS,
        help=f"inputs and outputs: examples before each query, drawn by the first seed (default {SHOTS})",
    )
    for name in ("bos", "chat", "positions"):
        add_option(prompts, option_of(name))
    add_option(
        parser.add_argument_group("text"),
        option_of("n_tokens"),
        default=0,
        help="tokens of text to generate in each lane (default 0: none)",
    )
    add_models(parser)


def sweep(args: argparse.Namespace) -> int:
    """``icltui sweep``."""
    source = PromptSource(
        name=args.prompts,
        limit=args.limit,
        columns=dict(args.columns),
        shots=args.shots,
        seed=args.seed[0],
    )
    _check(args.layers, args.alpha)
    found = read_prompts(source)
    _tell(found)
    summary = run_in_folder(args, _experiment(args, found))
    from icltui.report.experiment_summary import summary_text

    print_text(summary_text(summary, terminal_width()))
    return exit_code_of(summary)


def _experiment(args: argparse.Namespace, found: PromptList) -> Any:
    from icltui.studies.sweep import Sweep
    from icltui.studies.sweep_recipe import SweepRecipe

    recipes = tuple(
        SweepRecipe(mode=mode, components=components, alpha=alpha, seed=seed)
        for mode in _once(args.mode)
        for components in _once(args.components)
        for alpha in _once(args.alpha)
        for seed in _once(args.seed)
    )
    return Sweep(
        prompts=found.prompts,
        loads=models_of(args),
        layers=_once(args.layers),
        recipes=recipes,
        n_tokens=args.n_tokens,
        reading=Prompt(**values_of(args, Prompt)),
    )


def _check(layers: list[str], alphas: list[Any]) -> None:
    """Refuse what no model can be swept with, before one is loaded.

    Raises:
        BadInput: layers that no model has, or a strength that is not tried here.
    """
    if "jvp" in alphas:
        raise BadInput("--alpha jvp is not for sweeps: give numbers from 0 to 2, or search")
    for text in layers:
        if text not in ("last", _EACH):
            resolve_layers(text, LAYERS)


def _tell(found: PromptList) -> None:
    """Say what of PROMPTS is left out."""
    for line in found.broken:
        print_error(f"icltui: left out of PROMPTS: {visible(line)}")
    if found.n_broken > len(found.broken):
        print_error(f"icltui: left out of PROMPTS: {found.n_broken:,} lines in all")
    if found.n_duplicates:
        n = found.n_duplicates
        print_error(f"icltui: left out of PROMPTS: {n:,} that {'is' if n == 1 else 'are'} there before")


def _once(values: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _read_limit(text: str) -> int:
    return _read_whole(text, 1, MOST_PROMPTS, "prompts")


def _read_shots(text: str) -> int:
    return _read_whole(text, 0, _MOST_SHOTS, "examples")


def _read_whole(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} {what}: give {least} to {most:,}")
    return int(text)


def _read_field(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (equals and theirs and ours in FIELDS):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no field: write {', '.join(FIELDS)} = what it is called, such as query=question"
        )
    return ours, theirs
