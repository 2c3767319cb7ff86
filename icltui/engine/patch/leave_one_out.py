"""A patch on each of its queries, had it been made without that query: in the one pass that makes it.

Enters: a spec and the passages of two or more queries. Leaves: :class:`LeftOutPatch`: the patch, and the score of each
query through the patch without it, whose maps follow from the whole one's in closed form
(:mod:`icltui.engine.patch.left_out_map`). That is exact at the lowest patched layer, but that ρ and, where the rank is
cut, the span of images are those of all queries. Above it the other queries' states are those of a patch that has seen
the query, unlike in a refit: :func:`refit_without` says what all this changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import (
    BuiltPatch,
    PatchSpec,
    build_from,
    fit_leaving_out,
    fitted_tokens,
    with_layers,
)
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.evaluate import ScoreSums, TokenSpan, score
from icltui.engine.patch.fit import FittedTokens
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class LeftOutPatch:
    """A patch at strength 1, and what is known of it on its own queries."""

    built: BuiltPatch
    scores: Mapping[float, tuple[ScoreSums, ...]]
    """The score of each query through the patch made without it, by strength."""


def leave_one_out(
    spec: PatchSpec, own: Passage, passages: Sequence[Passage], strengths: Sequence[float] = (1.0,)
) -> LeftOutPatch:
    """The patch of ``passages``, and the score of each where it is left out, at each of the ``strengths``.

    Raises:
        BadInput: fewer than two passages, tokens that no patch can meet, or too high a rank.
    """
    if len(passages) < 2:
        raise BadInput("one query cannot be left out of itself: give two calibration queries or more")
    parts = fitted_tokens(spec, own, passages)
    built = BuiltPatch(spec, own, parts)
    made = fit_leaving_out(built, strengths)
    scores = {
        strength: tuple(
            score(scored_span(part), logits)
            for part, logits in zip(parts, made.left_out[strength], strict=True)
        )
        for strength in strengths
    }
    return LeftOutPatch(with_layers(built, made.layers), scores)


def refit_without(
    spec: PatchSpec, own: Passage, passages: Sequence[Passage], left_out: int, strength: float = 1.0
) -> ScoreSums:
    """The score of one passage through a patch that is made anew without it: what leave-one-out approximates."""
    rest = [*passages[:left_out], *passages[left_out + 1 :]]
    fewer = replace(spec, calibration=tuple(passage.ids for passage in rest))
    part = fitted_tokens(spec, own, passages)[left_out]
    return score(scored_span(part), patched_logits(build_from(fewer, own, rest), part.passage, strength))


def scored_span(part: FittedTokens) -> TokenSpan:
    """The tokens that count of a fitted passage: those after its query and after each of its fitted continuation."""
    return TokenSpan(part.passage, 0, part.n_continuation + 1)
