"""What is known of a patch as text: how it was made, how it fits, and what it is worth; one table for each."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.table import Table

from icltui.report.measures import MEASURES
from icltui.report.verify import logit_table
from icltui.text.escape import visible
from icltui.text.tables import number, numbers, numbers_table, table, words
from icltui.values import (
    CurvePoint,
    Curves,
    Generation,
    PatchReport,
    PatchTest,
)
from icltui.values.recipe import patch_words

_FIT_TITLES = {
    "layer": "layer",
    "error": "ΔW error",
    "condition": "condition",
    "rank": "rank",
    "shift_error": "shift error",
    "shift_condition": "condition",
    "shift_rank": "rank",
    "relative_patch_norm": MEASURES["relative_patch_norm"].symbol,
}


def patch_parts(generation: Generation) -> list[RenderableType]:
    """How the patch was made, fits and fares, as sentences and tables, each table after its title."""
    parts: list[RenderableType] = []
    if generation.fit:
        parts += [
            "Logits after the query, against those with the context",
            logit_table(generation.fit.items()),
        ]
    layers = ", ".join(map(str, generation.layers)) or "none"
    parts.append(f"patch: {visible(patch_words(generation.recipe))}; layers {layers}{_drawn(generation)}")
    if generation.patch is not None:
        parts += _patch(generation.patch)
    return parts


def _drawn(generation: Generation) -> str:
    sampling = generation.sampling
    if sampling.temperature == 0:
        return ""
    limits = f", top-k {sampling.top_k}" if sampling.top_k is not None else ""
    limits += f", top-p {sampling.top_p:g}" if sampling.top_p < 1 else ""
    return f"; sampled at temperature {sampling.temperature:g}{limits}, seed {sampling.seed}, one noise for all lanes"


def _patch(patch: PatchReport) -> Iterator[RenderableType]:
    if patch.layers:
        tokens = "1 token" if patch.n_tokens == 1 else f"{patch.n_tokens} tokens"
        yield f"Made from {tokens}: rank {patch.rank}, α {patch.alpha:g}. Fit, layer by layer"
        yield numbers_table(patch.layers, _FIT_TITLES)
    elif patch.alpha != 1:
        yield f"α {patch.alpha:g}"
    if patch.tests:
        yield (
            "The patch against no patch, means over tokens: the first line covers the tokens that it was made from, "
            "and is no evidence"
        )
        yield _tests(patch.tests)
    yield from filter(None, [visible(patch.verdict), "\n".join(f"note: {visible(n)}" for n in patch.notes)])
    if patch.curves is not None:
        yield from _curves(patch.curves)


def _tests(tests: Iterable[PatchTest]) -> Table:
    titles = ("tokens", "KL", "KL without", "MSE", "MSE without", "same top", "without", "state error")
    return table(
        [words("on"), *numbers(*titles)],
        (
            (
                test.what,
                str(test.n_tokens),
                *map(number, (test.kl, test.kl_plain, test.mse, test.mse_plain)),
                f"{test.equal}/{test.n_tokens}",
                f"{test.equal_plain}/{test.n_tokens}",
                number(test.state_error),
            )
            for test in tests
        ),
    )


def _curves(curves: Curves) -> Iterator[RenderableType]:
    yield "Strength: KL and MSE after the query, and KL on tokens that the patch was not made from"
    yield _curve("α", curves.alpha)
    yield "Layers, the lowest ones; and the highest ones"
    yield _curve("layers", curves.from_bottom)
    yield _curve("layers", curves.from_top)
    if curves.queries:
        yield "Calibration queries: KL on their own tokens, and on tokens that the patch was not made from"
        yield _curve("queries", curves.queries)


def _curve(title: str, points: Iterable[CurvePoint]) -> Table:
    return table(
        numbers(title, "KL", "MSE", "KL elsewhere"),
        ((f"{point.x:g}", *map(number, (point.kl, point.mse, point.kl_others))) for point in points),
    )
