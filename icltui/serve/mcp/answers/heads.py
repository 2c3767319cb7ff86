"""Attention heads for an agent: those whose scores are clearly above chance, and what each brings of δ."""

from collections.abc import Iterable, Iterator

from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    kept_tokens,
    name_of,
    rounded,
    words,
)
from icltui.values import AttentionHeads, HeadContributions, HeadIndex, HeadScore
from icltui.values.errors import EngineError

EVIDENCE = (
    "By construction: a layer's shares sum to 1. Evidence of induction: a score above chance and above the same head's "
    "attention where nothing is repeated (null), with an interval over sequences that leaves both out. A head that "
    "copies on random tokens need not be what answers this prompt: that is what its share of δ says, and only for this "
    "prompt's last token."
)


class HeadBrief(Brief, frozen=True):
    """One head's score on repeated random tokens."""

    layer: int
    head: int
    score: float | None
    low: float | None
    """Lower end of the 95 % interval over sequences."""
    high: float | None
    null: float | None
    """Its attention across the same distance where nothing is repeated; induction alone has it."""


class HeadShare(Brief, frozen=True):
    """What one head brings of δ in its layer."""

    layer: int
    head: int
    share: float | None
    """With a sign."""
    strongest_unit: int
    text: str


class HeadsBrief(Brief, frozen=True):
    """The heads that say most."""

    model: str
    n_heads: int
    induction: tuple[HeadBrief, ...]
    """Clearly above the null, the strongest first."""
    previous: tuple[HeadBrief, ...]
    """Likewise of the attention to the token before."""
    shares: tuple[HeadShare, ...]
    """The largest shares, by magnitude."""
    notes: tuple[str, ...] = ()


class HeadsControls(Brief, frozen=True):
    """What the scores are to be held against."""

    chance: float | None
    """What attention spread evenly scores."""
    largest_null: float | None
    """The largest of all heads where nothing is repeated."""
    largest_unlisted: float | None
    """The largest induction score of a head that is not listed as one."""
    n_sequences: int
    largest_sum_error: float | None
    """Of the sum over heads against δ measured by a run of its own."""
    kept: KeptTokens


async def heads(asked: Asked) -> Compose:
    """The heads, whose controls are their own."""
    found = (await asked.ask(asked.request)).heads
    if found is None:
        raise EngineError("the engine ended without scores of heads: ask again")

    def compose(cut: Cut) -> AgentAnswer[HeadsBrief, HeadsControls]:
        brief, controls = _brief(asked, found, cut), _controls(asked, found)
        return AgentAnswer(
            summary=_words(found, brief, controls),
            result=brief,
            controls=controls,
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, found: AttentionHeads, cut: Cut) -> HeadsBrief:
    scores = {(score.layer, score.head): score for score in found.heads}
    shares = sorted(_shares(found, cut), key=lambda one: -abs(one.share or 0.0))
    return HeadsBrief(
        model=name_of(asked.model),
        n_heads=len(found.heads),
        induction=cut.rows("induction", map(_induction, _of(found.induction_heads, scores))),
        previous=cut.rows("previous", map(_previous, _of(found.previous_heads, scores))),
        shares=cut.rows("shares", shares),
        notes=cut.rows("notes", (*found.tokens.notes, *found.notes)),
    )


def _of(indices: Iterable[HeadIndex], scores: dict[tuple[int, int], HeadScore]) -> Iterator[HeadScore]:
    return (scores[index.layer, index.head] for index in indices)


def _induction(score: HeadScore) -> HeadBrief:
    return HeadBrief(
        layer=score.layer,
        head=score.head,
        score=rounded(score.induction),
        low=rounded(score.induction_low),
        high=rounded(score.induction_high),
        null=rounded(score.induction_null),
    )


def _previous(score: HeadScore) -> HeadBrief:
    return HeadBrief(
        layer=score.layer,
        head=score.head,
        score=rounded(score.previous),
        low=rounded(score.previous_low),
        high=rounded(score.previous_high),
        null=None,
    )


def _shares(found: AttentionHeads, cut: Cut) -> Iterator[HeadShare]:
    texts = [unit.text for unit in found.tokens.units]
    return (
        _share(part, head, texts, cut) for part in found.contributions for head in range(len(part.head_share))
    )


def _share(part: HeadContributions, head: int, texts: list[str], cut: Cut) -> HeadShare:
    by_unit = part.share[head]
    top = max(range(len(by_unit)), key=lambda unit: abs(by_unit[unit] or 0.0), default=0)
    return HeadShare(
        layer=part.layer,
        head=head,
        share=rounded(part.head_share[head]),
        strongest_unit=top + 1,
        text=cut.text(texts[top]) if texts else "",
    )


def _controls(asked: Asked, found: AttentionHeads) -> HeadsControls:
    listed = {(index.layer, index.head) for index in found.induction_heads}
    others = (score.induction for score in found.heads if (score.layer, score.head) not in listed)
    return HeadsControls(
        chance=rounded(found.chance),
        largest_null=rounded(_largest(score.induction_null for score in found.heads)),
        largest_unlisted=rounded(_largest(others)),
        n_sequences=found.n_seeds,
        largest_sum_error=rounded(_largest(part.sum_error for part in found.contributions)),
        kept=kept_tokens(asked.model, found.tokens.prefix, found.tokens.ids),
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _words(found: AttentionHeads, brief: HeadsBrief, controls: HeadsControls) -> str:
    n = len(found.induction_heads)
    said = f"{n} of {brief.n_heads} heads are induction heads"
    if brief.induction:
        top = brief.induction[0]
        said += f", the strongest layer {top.layer} head {top.head} with {words(top.score)} (null {words(top.null)})"
    return (
        f"{said}. Attention spread evenly scores {words(controls.chance)}; the largest score where nothing is repeated "
        f"is {words(controls.largest_null)}."
    )
