"""Lanes as text: JSON for scripts; for people each lane with its agreement, then what is known of the patch.

No text of a token is passed on to a terminal as it is.
"""

from collections.abc import Sequence

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from icltui.report.json_document import as_json, provenance
from icltui.report.kept_prefix import kept_json, kept_lines
from icltui.report.model_notes import model_lines
from icltui.report.patch import patch_parts
from icltui.text.escape import token_text, visible
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import (
    LANE_TITLES,
    LANES,
    Agreement,
    Generation,
    Lane,
    LaneText,
    ModelInfo,
)
from icltui.values.prompt import Prompt
from icltui.values.recipe import patch_words


def generate_json(model: ModelInfo, prompt: Prompt, generation: Generation) -> str:
    """The lanes step by step, how they compare, how they were made, and what is known of the patch."""
    return as_json(
        {**provenance(model, prompt), **kept_json(model, generation.kept_prefix), **_document(generation)}
    )


def generate_each_json(
    model: ModelInfo, prompt: Prompt, queries: Sequence[str], generations: Sequence[Generation]
) -> str:
    """The lanes of each of several queries, with what they are made from."""
    answers = [
        {"query": query, **_document(generation)}
        for query, generation in zip(queries, generations, strict=True)
    ]
    kept = kept_json(model, generations[0].kept_prefix if generations else ())
    return as_json({**provenance(model, prompt), **kept, "queries": answers})


def generate_text(model: ModelInfo, generation: Generation, width: int = 110) -> str:
    """The lanes one below the other, each with its agreement; then how the patch fits and what it is worth."""
    lanes = (_lane(generation, name) for name in LANES if name in generation.lanes)
    return render((*_heading(model, generation), *lanes, *patch_parts(generation)), width)


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
    heading = _heading(model, generations[0]) if generations else model_lines(model)
    return render((*heading, table(columns, rows), f"patch: {patch}", _sums(generations)), width)


def _heading(model: ModelInfo, generation: Generation) -> list[str]:
    return [*model_lines(model), *kept_lines(model, generation.ids, generation.kept_prefix)]


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


def _equal(agreement: Agreement | None) -> str:
    return "·" if agreement is None else f"{agreement.equal}/{agreement.total}"


def _sums(generations: Sequence[Generation]) -> str:
    """The sums over all queries."""
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
