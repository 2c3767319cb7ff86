"""Lanes and what is known of their patch as text: JSON for scripts, paragraphs and tables for people.

No text of a token is passed on to a terminal as it is.
"""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from icltui.report.json_document import as_json, origin
from icltui.report.measures import MEASURES
from icltui.report.model_notes import model_lines
from icltui.report.verify import logit_table
from icltui.text.escape import token_text, visible
from icltui.text.tables import number, numbers, numbers_table, render, table, words
from icltui.values import (
    LANE_TITLES,
    LANES,
    Agreement,
    CurvePoint,
    Curves,
    Generation,
    Lane,
    LaneText,
    ModelInfo,
    PatchReport,
    PatchTest,
)
from icltui.values.prompt import Prompt
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


def generate_json(model: ModelInfo, prompt: Prompt, generation: Generation) -> str:
    """The lanes step by step, how they compare, how they were made, and what is known of the patch."""
    return as_json({**origin(model, prompt), **_document(generation)})


def generate_each_json(
    model: ModelInfo, prompt: Prompt, queries: Sequence[str], generations: Sequence[Generation]
) -> str:
    """The lanes of each of several queries, with what they are made from."""
    answers = [
        {"query": query, **_document(generation)}
        for query, generation in zip(queries, generations, strict=True)
    ]
    return as_json({**origin(model, prompt), "queries": answers})


def generate_text(model: ModelInfo, generation: Generation, width: int = 110) -> str:
    """The lanes one below the other, each with its agreement; then how the patch fits and what it is worth."""
    lanes = (_lane(generation, name) for name in LANES if name in generation.lanes)
    return render((*model_lines(model), *lanes, *patch_parts(generation)), width)


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


def generate_each_text(
    model: ModelInfo, queries: Sequence[str], generations: Sequence[Generation], width: int = 110
) -> str:
    """A line for each query: how far the lanes without the context say what it says."""
    rows = [
        (
            token_text(query),
            token_text(generation.lanes["context"].text),
            *(_equal(generation.agreement.get(lane)) for lane in LANES[1:]),
            *(number(generation.fit[lane].kl if lane in generation.fit else None) for lane in LANES[1:]),
        )
        for query, generation in zip(queries, generations, strict=True)
    ]
    columns = [words("query"), words("with context"), *numbers("plain", "patched", "KL plain", "KL patched")]
    patch = visible(patch_words(generations[0].recipe)) if generations else ""
    return render((*model_lines(model), table(columns, rows), f"patch: {patch}", _sums(generations)), width)


def _document(generation: Generation) -> dict[str, object]:
    return {
        "lanes": {name: _lane_document(lane) for name, lane in generation.lanes.items()},
        "agreement": generation.agreement,
        "mode": generation.recipe.mode,
        "components": generation.recipe.components,
        "recipe": generation.recipe,
        "sampling": generation.sampling,
        "holdout": generation.holdout,
        "layers": generation.layers,
        "fit": generation.fit,
        "patch": generation.patch,
    }


def _lane_document(lane: LaneText) -> dict[str, object]:
    steps = [{"token": s.token, "top": s.top, "kl_to_context": s.kl_to_context} for s in lane.steps]
    return {"text": lane.text, "token_ids": lane.token_ids, "steps": steps}


def _lane(generation: Generation, name: Lane) -> Group:
    text = "\n".join(map(visible, generation.lanes[name].text.split("\n")))
    return Group(Text(lane_title(generation, name)), Padding(Text(text), (0, 0, 0, 2)))


def lane_title(generation: Generation, lane: Lane) -> str:
    """What the lane is, and how far it says what the context's says."""
    return LANE_TITLES[lane] + _agreement_words(generation.agreement.get(lane))


def _agreement_words(agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    tokens = "token" if agreement.total == 1 else "tokens"
    equal = f" · {agreement.equal} of {agreement.total} {tokens} as with the context"
    if agreement.first_difference is None:
        return equal
    return f"{equal}, first different: token {agreement.first_difference + 1}"


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
        yield "The patch against no patch, means over tokens: the first line is what it was made for, and no news"
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


def _equal(agreement: Agreement | None) -> str:
    return "·" if agreement is None else f"{agreement.equal}/{agreement.total}"


def _sums(generations: Sequence[Generation]) -> str:
    """All queries as one."""
    sentences = []
    for lane in LANES[1:]:
        found = [g.agreement[lane] for g in generations if lane in g.agreement]
        if found:
            equal, total = sum(a.equal for a in found), sum(a.total for a in found)
            whole = sum(a.first_difference is None for a in found)
            sentences.append(
                f"{LANE_TITLES[lane]}: {equal} of {total} tokens, {whole} of {len(found)} texts as with the context"
            )
    return "; ".join(sentences)
