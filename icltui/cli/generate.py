"""``icltui generate``: text with the context, without it, and without it through a patch."""

import argparse
from pathlib import Path
from typing import Any, cast, get_args

from msgspec.structs import replace

from icltui.api import collect
from icltui.api.messages import Export, Generate, GenerateEach
from icltui.cli.common import finish, read_text, start
from icltui.cli.options import add_job, seed
from icltui.cli.output import quiet, width, write_text
from icltui.storage.paths import typed_path
from icltui.storage.query_file import read_queries
from icltui.values.errors import BadInput, SessionError
from icltui.values.recipe import (
    CARRIERS,
    COMPONENTS,
    MODES,
    AlphaSearch,
    Control,
    Recipe,
    Sampling,
    check_recipe,
    check_sampling,
    idle,
)

OPTIONS = {"n_fitted": "--fit", "other_context": "--other-context"}
"""Where an option is not called as its field is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job(parser, ("text", "json"), each=True)
    add_recipe(parser)
    add_sampling(parser)
    add_tests(parser)


def generate(args: argparse.Namespace) -> int:
    """``icltui generate``."""
    from icltui.report import generate

    choices = {
        "recipe": read_recipe(args, read_text(args.other_context or "")),
        "sampling": read_sampling(args),
        "holdout": () if args.holdout is None else read_queries(args.holdout),
        "n_tokens": args.tokens,
    }
    if args.with_factors:
        _check_factors(args)
    if args.each is not None:
        return _generate_each(args, choices)
    engine, model, session = start(args)
    session = replace(session, **choices)
    request = Generate(prompt=session.prompt, layers=session.layers, curves=args.curves, **choices)
    with quiet():
        result = collect.generate(engine, request)
    as_json = args.format == "json"
    text = (
        generate.generate_json(model, session.prompt, result)
        if as_json
        else generate.generate_text(model, result, width())
    )
    code = finish(args, replace(session, generation=result), text)
    if args.with_factors:
        export = Export(
            prompt=session.prompt,
            layers=session.layers,
            recipe=session.recipe,
            format="factors",
            path=str(_factors_path(args.save)),
            ids=result.ids,
        )
        with quiet():
            collect.export(engine, export)
    return code


def _generate_each(args: argparse.Namespace, choices: dict[str, Any]) -> int:
    """The lanes of every query in a file."""
    from icltui.report import generate

    for option, is_given in (
        ("-q", args.query is not None),
        ("--save", args.save),
        ("--curves", args.curves),
    ):
        if is_given:
            raise BadInput(
                f"{option} does not go with --each, which runs every query of a file: leave it out"
            )
    queries = read_queries(args.each)
    args.query = queries[0]
    engine, model, session = start(args)
    request = GenerateEach(prompt=session.prompt, queries=queries, layers=session.layers, **choices)
    with quiet():
        results = collect.generate_each(engine, request)
    as_json = args.format == "json"
    text = (
        generate.each_json(model, session.prompt, queries, results)
        if as_json
        else generate.each_text(model, queries, results, width())
    )
    return write_text(args, text)


def _factors_path(session: Path) -> Path:
    """Where the factors of a session's patch lie: beside it."""
    return session.with_suffix(".safetensors")


def _check_factors(args: argparse.Namespace) -> None:
    if args.save is None:
        raise BadInput("--with-factors writes a file beside the session: give --save SESSION.json too")
    if args.mode == "per-step":
        raise BadInput("--with-factors needs a patch that is held: give --mode frozen or compiled")
    if _factors_path(args.save) == args.save:
        raise BadInput(
            f"--save {str(args.save)!r} is where the factors go: give it another ending, such as .json"
        )
    if _factors_path(args.save).exists():
        raise SessionError(f"{str(_factors_path(args.save))!r} exists already: give --save another name")


def add_recipe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("patch")
    group.add_argument(
        "--mode",
        choices=MODES,
        default="per-step",
        help="a new patch per token; the query's last token's, held; or one for many tokens at once, held",
    )
    group.add_argument("--components", choices=COMPONENTS, default="both", help="ΔW and Δb, or one alone")
    group.add_argument(
        "--carrier",
        choices=CARRIERS,
        default="output",
        help="held: the shift as a patch of the down projection, or as a constant, which ends in repetition",
    )
    group.add_argument(
        "--alpha",
        type=_alpha,
        default=1.0,
        metavar="A",
        help="strength, 0 to 2; search: by line search; jvp: in closed form to first order (default 1)",
    )
    group.add_argument(
        "--fit",
        type=int,
        default=8,
        metavar="N",
        help="compiled: tokens of the contextual continuation to fit, besides the query's own (default 8)",
    )
    group.add_argument("--rank", type=int, metavar="K", help="compiled: cut the patch to this rank by SVD")
    group.add_argument(
        "--ridge",
        type=float,
        default=0.0,
        metavar="R",
        help="compiled: penalty, as a share of the mean square (default 0: exact)",
    )
    group.add_argument(
        "--queries",
        type=typed_path,
        metavar="FILE",
        help="compiled: fit on these queries, one a line, not on -q",
    )
    group.add_argument(
        "--control",
        choices=get_args(Control),
        default="none",
        help="instead of the context's patch: a random one of equal norms, the shuffled or another context's",
    )
    group.add_argument("--other-context", metavar="TEXT|@FILE", help="for --control other")


def add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("text")
    group.add_argument("--tokens", type=int, default=12, metavar="N", help="tokens per lane (default 12)")
    group.add_argument(
        "--temperature", type=float, default=0.0, metavar="T", help="of sampling; default 0: greedy"
    )
    group.add_argument("--top-k", type=int, metavar="K", help="draw from the K most probable tokens")
    group.add_argument(
        "--top-p", type=float, default=1.0, metavar="P", help="draw from the most probable that reach P"
    )
    group.add_argument(
        "--seed", type=seed, default=0, help="of sampling, one noise for all lanes, and of the controls"
    )


def add_tests(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tests of the patch")
    group.add_argument(
        "--holdout", type=typed_path, metavar="FILE", help="other queries behind the same context, one a line"
    )
    group.add_argument(
        "--curves",
        action="store_true",
        help="vary strength, layers from both ends, and calibration queries",
    )
    group.add_argument(
        "--with-factors",
        action="store_true",
        help="with --save: z, δ and the patch's factors as safetensors beside the session",
    )


def read_recipe(args: argparse.Namespace, other_context: str) -> Recipe:
    """The recipe that the options amount to.

    Raises:
        BadInput: a value that cannot be, or an option that would do nothing.
    """
    recipe = Recipe(
        mode=args.mode,
        components=args.components,
        carrier=args.carrier,
        alpha=args.alpha,
        n_fitted=args.fit,
        rank=args.rank,
        ridge=args.ridge,
        queries=() if args.queries is None else read_queries(args.queries),
        control=args.control,
        other_context=other_context,
        seed=args.seed,
    )
    check_recipe(recipe)
    for name in idle(recipe):
        option = OPTIONS.get(name, f"--{name}")
        need = {"carrier": "--mode frozen or compiled and a shift", "other_context": "--control other"}
        words = need.get(name, "--mode compiled and something to solve")
        raise BadInput(
            f"{option} does nothing in mode {recipe.mode!r} with components {recipe.components!r}: it goes with {words}"
        )
    return recipe


def read_sampling(args: argparse.Namespace) -> Sampling:
    """How text is drawn.

    Raises:
        BadInput: a value that cannot be, or an option that would do nothing.
    """
    sampling = Sampling(temperature=args.temperature, top_k=args.top_k, top_p=args.top_p, seed=args.seed)
    check_sampling(sampling)
    if sampling.temperature == 0 and (sampling.top_k is not None or sampling.top_p < 1):
        raise BadInput("--top-k and --top-p do nothing at temperature 0: give --temperature too")
    return sampling


def _alpha(text: str) -> float | AlphaSearch:
    if text in get_args(AlphaSearch):
        return cast(AlphaSearch, text)
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no strength: give a number, search or jvp") from None
