"""The one table of options: of a model, a patch, a text, a prompt and a measure.

The command line, the explorer's forms and every check read it. A form lists its options in the table's order.
"""

import re
from collections.abc import Iterator
from functools import partial

from msgspec import Meta, Struct

from icltui.api.messages import (
    DEMO,
    Compile,
    Examine,
    Generate,
    GenerateEach,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureHeads,
    Verify,
)
from icltui.api.option import Option
from icltui.values import EXAM_PATCHES, Session
from icltui.values.bounds import SEED, TOKENS
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import LARGEST_ALPHA, LARGEST_EPSILON, Recipe, Sampling, strengths_of

SITES = ("mlp", "norm", "down", "block")
"""The modules of a block that can be named by hand."""

MOST_CALIBRATION_QUERIES = 256
"""That are made of a context."""

MOST_OWN_TEXTS = 64
"""That a model writes side by side."""
MOST_RANDOM, MOST_SEQUENCES = 512, 256
"""Random tokens that are repeated, as attention grows with their square; and sequences of them."""

_SOLVED = "--mode compiled and something to solve"
_IN_ORDINARY = "--mode frozen or compiled, something to solve and --metric ordinary"
_DTYPES, _DEVICES = "auto, float32, bfloat16, float16, float64", "auto, cpu, cuda, cuda:N, mps"


_A_COUNT, _NOT_NEGATIVE, _NOT_EMPTY = Meta(ge=1, le=TOKENS), Meta(ge=0), Meta(min_length=1)

_model = partial(Option, of=(LoadModel,), group="model")
_patch = partial(Option, of=(Recipe,), group="patch")
_sampling = partial(Option, of=(Sampling,), group="text")
_prompt = partial(Option, of=(Prompt,), group="prompt")
_compile = partial(Option, of=(Compile,), group="compile")
_method = partial(Option, of=(Measure, Session), group="method")

OPTIONS: tuple[Option, ...] = (
    _model("model", f"Hugging Face id, folder, GGUF file or ollama:NAME (default: {DEMO})", metavar="M"),
    _model("dtype", _DTYPES, metavar="T", hint=_DTYPES),
    _model("device", _DEVICES, metavar="D", hint=_DEVICES),
    _model("quantize", "weights in 8 or 4 bits, by bitsandbytes", hint="none, 8bit, 4bit (by bitsandbytes)"),
    _model(
        "device_map",
        "spread the layers over all GPUs, and main memory if needed",
        label="spread",
        hint="none, auto, balanced, sequential: over GPUs",
    ),
    _model(
        "revision", "branch, tag or commit on the hub", metavar="R", hint="a branch, tag or commit on the hub"
    ),
    _model("allow_pickle", "accept pickled weights, which can run code", label="pickles"),
    _model("trust_remote_code", "run code that comes with the model", label="code"),
    _model(
        "sites",
        f"a module that is not found automatically: {', '.join(SITES)} = a module's path with {{layer}} in it; may be "
        "repeated",
        flags=("--site",),
        metavar="KEY=PATH",
    ),
    _patch(
        "mode", "a new patch per token; the query's last token's, held; or one for many tokens at once, held"
    ),
    _patch("components", "ΔW and Δb, or one alone"),
    _patch(
        "carrier",
        "held: the shift as a patch of the down projection, or as a constant, which ends in repetition",
        goes_with="--mode frozen or compiled and a shift",
    ),
    _patch(
        "alpha",
        f"strength, 0 to {LARGEST_ALPHA:g}; search: by line search; jvp: in closed form to first order "
        "(default {default})",
        metavar="A",
        label="α",
        hint=f"strength, 0 to {LARGEST_ALPHA:g}; search: by line search; jvp: to first order",
        need=f"give 0 to {LARGEST_ALPHA:g}, search or jvp",
        bounds=Meta(ge=0, le=LARGEST_ALPHA),
        show=str,
    ),
    _patch(
        "layer_alphas",
        "strengths of single layers, which the strength of all multiplies, such as 3=0.5,7=0 (default: each 1)",
        metavar="L=A,…",
        label="by layer",
        hint="strengths of single layers, such as 3=0.5,7=0; empty: each 1",
    ),
    _patch(
        "n_fitted",
        "compiled: tokens of the contextual continuation to fit, besides the query's own (default {default})",
        flags=("--fit",),
        metavar="N",
        label="fit",
        hint="compiled: tokens of the contextual text to fit, after the query",
        need=f"give 0 or more, at most {TOKENS}",
        bounds=Meta(ge=0, le=TOKENS),
        fault="{value} continuation tokens to fit",
        goes_with=_SOLVED,
    ),
    _patch(
        "rank",
        "compiled: cut the patch to this rank by SVD",
        metavar="K",
        hint="compiled: cut to this rank; empty: full",
        need=f"give 1 to {TOKENS}",
        bounds=_A_COUNT,
        goes_with=_SOLVED,
    ),
    _patch(
        "ridge",
        "compiled: penalty, as a share of the mean square (default {default}: exact)",
        metavar="R",
        hint="compiled: penalty, such as 1e-4, where tokens depend on each other",
        need="give 0 or more, such as 1e-4",
        bounds=_NOT_NEGATIVE,
        fault="ridge {value} is not a penalty",
        goes_with=_SOLVED,
    ),
    _patch(
        "cross_fit",
        "compiled on queries: fit each a second time, as it is through the patch that is made without it",
        goes_with="--mode compiled and two or more --queries",
    ),
    _patch(
        "metric",
        "held: the patch that is least in its norm, or in its effect on ordinary text (default {default})",
        goes_with="--mode frozen or compiled and something to solve",
    ),
    _patch(
        "epsilon",
        "ordinary: how far the metric is from ordinary text alone, as a share of the mean square (default {default})",
        metavar="E",
        need=f"give more than 0, at most {LARGEST_EPSILON:g}",
        bounds=Meta(gt=0, le=LARGEST_EPSILON),
        goes_with=_IN_ORDINARY,
    ),
    _patch(
        "background",
        "ordinary: a text file of what is ordinary (default: the model's own, else one that comes with the program)",
        metavar="FILE",
        names_file=True,
        local="it names a file of the machine that the engine runs on",
        goes_with=_IN_ORDINARY,
    ),
    _patch(
        "queries",
        "compiled: fit on these queries, one per line, not on -q",
        label="fit on",
        hint="compiled: a file of queries, one per line; empty: the query above",
        need="leave empty lines out",
        bounds=_NOT_EMPTY,
        fault="a query to fit on is empty",
        goes_with=_SOLVED,
    ),
    Option(
        "holdout",
        "other queries after the same context, one per line",
        (Generate, GenerateEach, Session, Compile, Examine),
        "tests",
        label="test on",
        hint="a file of other queries after the same context; empty: none",
    ),
    Option("curves", "vary strength, layers from both ends, and calibration queries", (Generate,), "tests"),
    _patch(
        "control",
        "instead of the context's patch: a random one of equal norms, the shuffled or another context's",
        hint="none, random, shuffled or other: what replaces the patch",
    ),
    _patch(
        "other_context",
        "for --control other",
        metavar="TEXT|@FILE",
        takes_file=True,
        label="other",
        hint="for control other: that context, its line ends as \\n",
        goes_with="--control other",
    ),
    Option(
        "n_tokens",
        "tokens per lane (default {default})",
        (Generate, GenerateEach, Session),
        "text",
        flags=("--tokens",),
        metavar="N",
        label="tokens",
        hint="tokens that each lane generates",
        need=f"ask for 1 to {TOKENS}",
        bounds=_A_COUNT,
        fault="{value} tokens to generate",
    ),
    _sampling(
        "temperature",
        "of sampling; default {default}: greedy",
        metavar="T",
        hint="0: the likeliest token each time",
        need="give 0 (greedy) or more",
        bounds=_NOT_NEGATIVE,
    ),
    _sampling(
        "top_k",
        "draw from the K most probable tokens",
        metavar="K",
        label="top-k",
        hint="draw from so many of the likeliest; empty: all",
        need=f"give 1 to {TOKENS}",
        bounds=_A_COUNT,
    ),
    _sampling(
        "top_p",
        "draw from the most probable that reach P",
        metavar="P",
        label="top-p",
        hint="draw from the likeliest that together reach it",
        need="give more than 0, at most 1",
        bounds=Meta(gt=0, le=1),
    ),
    Option(
        "seed",
        "of sampling, one noise for all lanes, and of the controls",
        (Sampling, Recipe, Verify, Compile, MeasureCurves, MeasureHeads, Examine),
        "text",
        hint="of the text, one noise for all lanes, and of the controls",
        need="give 0 to 2^63 - 1",
        bounds=Meta(ge=0, le=SEED),
    ),
    _prompt(
        "context",
        "the context (default: empty)",
        flags=("-c", "--context"),
        metavar="TEXT|@FILE",
        takes_file=True,
    ),
    _prompt("query", "the query after it", flags=("-q", "--query"), metavar="TEXT|@FILE", takes_file=True),
    _prompt(
        "unit",
        "token, line, sentence, a separator to cut the context at, or auto: tokens up to 200, else sentences; "
        "sentence/3,7 opens two of them into their tokens",
        metavar="UNIT",
        hint="auto, token, line, sentence, or the text at which the context is cut",
        need="use auto, token, line, sentence, or a separator such as ';'",
        bounds=_NOT_EMPTY,
        fault="the unit is empty",
    ),
    _prompt(
        "bos",
        "tokens before the text, kept in both runs (default {default}: the tokenizer's own, else one where the model "
        "has an attention sink)",
        label="special",
        hint="kept before the text: auto (the tokenizer's, or one for a sink), always, never",
    ),
    _prompt(
        "chat",
        "context and query as one user turn of the tokenizer's chat template, its header kept in both runs",
    ),
    _prompt(
        "positions",
        "the query right after what is left of the context, or where the full context puts it (default {default})",
    ),
    Option(
        "layers",
        "all, last, or a list such as 0,3,5-8 (default {default})",
        (Measure, Generate, GenerateEach, Verify, Session, Compile, MeasureHeads, Examine),
        "prompt",
        metavar="L",
    ),
    _method(
        "dynamics",
        "units arrive from the left, leave from the left, or leave one at a time (default {default})",
    ),
    _method(
        "reference",
        "a missing unit was never there, or only each layer's own attention may not see it (default {default})",
    ),
    _method(
        "precision",
        "compute in the model's own numbers, or in float32 with the same weights (default {default})",
        hint="of the measure: model, or float32 with the same weights",
    ),
    _compile(
        "calibrate",
        "where the calibration queries come from: --queries; the context in pieces; or the model, which writes them in "
        "the context (default: user with --queries, else self)",
    ),
    _compile(
        "n_queries",
        "calibration queries to make of the context (default {default})",
        metavar="N",
        need=f"ask for 2 to {MOST_CALIBRATION_QUERIES}",
        bounds=Meta(ge=2, le=MOST_CALIBRATION_QUERIES),
        fault="{value} calibration queries",
    ),
    Option(
        "budget",
        "seconds that the choice may take (default {default})",
        (Compile, Examine),
        "compile",
        metavar="S",
        need="give more than 0",
        bounds=Meta(gt=0),
    ),
    _compile(
        "force", "write it even if it would harm, and mark it", local="nothing is written where it is offered"
    ),
    Option(
        "own_texts",
        "texts that the model writes itself, to compare with (default {default}: none)",
        (MeasureCurves,),
        "curves",
        flags=("--own",),
        metavar="N",
        need=f"ask for 0 to {MOST_OWN_TEXTS}",
        bounds=Meta(ge=0, le=MOST_OWN_TEXTS),
        fault="{value} texts of the model's own",
    ),
    Option(
        "own_tokens",
        "the most tokens that are compared with them (default {default})",
        (MeasureCurves,),
        "curves",
        metavar="N",
        need=f"ask for 1 to {TOKENS}",
        bounds=_A_COUNT,
        goes_with="--own",
    ),
    Option(
        "n_random",
        "random tokens that are repeated (default {default})",
        (MeasureHeads,),
        "heads",
        flags=("--random",),
        metavar="N",
        need=f"ask for 2 to {MOST_RANDOM}",
        bounds=Meta(ge=2, le=MOST_RANDOM),
        fault="{value} random tokens to repeat",
    ),
    Option(
        "n_seeds",
        "random sequences (default {default})",
        (MeasureHeads,),
        "heads",
        flags=("--sequences",),
        metavar="N",
        need=f"ask for 1 to {MOST_SEQUENCES}",
        bounds=Meta(ge=1, le=MOST_SEQUENCES),
        fault="{value} random sequences",
    ),
    Option(
        "rows",
        f"the patches to examine, of {', '.join(EXAM_PATCHES)} (default: all but the last two)",
        (Examine,),
        "exam",
        metavar="NAME,…",
    ),
    Option(
        "answers",
        "true answers by query; a query without one is right where it is answered as with the context",
        (Examine,),
        "exam",
    ),
    Option("pairs", "compare every unit with every other (not in csv)", (Measure,), "pairs"),
)


_FIELDS = {flag: option.field for option in OPTIONS for flag in option.names}
_FLAG = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)( TEXT or @FILE| FILE)?")


def without_flags(text: str) -> str:
    """``text`` as a door says it that has no command line: with fields in the place of flags, and no files.

    >>> without_flags("--fit does nothing here: it goes with --mode compiled")
    'n_fitted does nothing here: it goes with mode compiled'
    """
    named = _FLAG.sub(lambda match: _FIELDS.get(match[1], match[0]), text)
    return named.replace(", one per line", "").replace(", one query on each line", "")


def option_of(field: str) -> Option:
    """The option that sets ``field``."""
    return next(option for option in OPTIONS if option.field == field)


def options_of(owner: type[Struct]) -> Iterator[Option]:
    """The options that set the fields of ``owner``."""
    return (option for option in OPTIONS if owner in option.of)


def check_options(values: Recipe | Sampling | Compile | MeasureCurves) -> None:
    """Refuse values by which no patch can be made, chosen, or no token drawn or written.

    Raises:
        BadInput: naming the value, what was needed, and what to do.
    """
    for option in options_of(type(values)):
        option.check(getattr(values, option.field))
    if isinstance(values, Recipe):
        strengths_of(values.layer_alphas)
    if isinstance(values, Recipe) and values.control == "other" and not values.other_context:
        raise BadInput("control 'other' needs another context: give --other-context TEXT or @FILE")
