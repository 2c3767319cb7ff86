"""Lanes of text side by side: with the context, the query alone, the query alone through a patch.

Enters: ids, and a built patch. Leaves: lane steps as they come, then the :class:`~icltui.values.Generation`. The
lanes advance together, so that their distributions can be compared token by token; all draw with the same noise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from icltui.engine.generate.sampling import Sampler
from icltui.engine.measure.predictions import finite_or_none, kl_divergence, top_candidates
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch, PatchSpec, control_noise
from icltui.engine.patch.decoding import AnyLane, RowLane, Run, SteppingLane, stop_tokens, without_context
from icltui.engine.patch.patch import TokenPatch
from icltui.engine.prompts.token_texts import as_tokens
from icltui.values import Agreement, Generation, Lane, LaneStep, LaneText, LogitError
from icltui.values.recipe import Sampling


@dataclass
class Track:
    """What a lane has said so far."""

    first_logits: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    steps: list[LaneStep] = field(default_factory=list)
    ended: bool = False


def generate(
    spec: PatchSpec,
    built: BuiltPatch | None,
    *,
    lanes: Sequence[Lane],
    n_tokens: int,
    sampling: Sampling = Sampling(),  # noqa: B008 -- frozen
) -> Iterator[LaneStep | Generation]:
    """Lane steps in the order in which they are made, then the whole generation.

    The context lane always runs, as the others are measured against it. The patched lane needs a built patch.
    """
    tracks: dict[Lane, Track] = {name: Track() for name in with_context(lanes)}
    speakers = {name: make_lane(spec, built, name) for name in tracks}
    sampler = Sampler(sampling)
    for index in range(n_tokens):
        context_log_p: Tensor | None = None
        for name, track in tracks.items():
            if track.ended:
                continue
            lane = speakers[name]
            logits = lane.start() if index == 0 else lane.feed(track.tokens[-1])
            context_log_p = logits.log_softmax(-1) if name == "context" else context_log_p
            same = track.tokens == tracks["context"].tokens[:index]
            yield step(spec.loaded, name, track, sampler, logits, context_log_p if same else None)
        if all(track.ended for track in tracks.values()):
            break
    yield summarize(tracks, spec, sampling)


def make_lane(spec: PatchSpec, built: BuiltPatch | None, name: Lane) -> AnyLane:
    """The lane of that name."""
    loaded, ids = spec.loaded, spec.ids
    if name == "context":
        return RowLane(Run(loaded.model), ids.full)
    if name == "plain":
        return RowLane(without_context(loaded, ids, spec.positions), ids.plain)
    assert built is not None, "build the patch before its lane is made"
    if built.patch is not None:
        held = built.patch.at(built.alpha)
        return RowLane(without_context(loaded, ids, spec.positions, held), ids.plain)
    patch = TokenPatch(spec.sites, spec.recipe.components, built.alpha, control_noise(spec.recipe))
    return SteppingLane(loaded, ids, patch, spec.positions, spec.control_context())


def with_context(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """The lanes, the contextual one first."""
    return ("context", *(lane for lane in lanes if lane != "context"))


def step(
    loaded: LoadedModel,
    name: Lane,
    track: Track,
    sampler: Sampler,
    logits: Tensor,
    context: Tensor | None,
) -> LaneStep:
    """Let a lane say its next token.

    ``context``: the contextual lane's log-probabilities, where both lanes have said the same so far.
    """
    log_p, index = logits.log_softmax(-1), len(track.tokens)
    token = sampler.draw(log_p, index)
    track.tokens.append(token)
    track.first_logits = logits if index == 0 else track.first_logits
    track.ended = token in stop_tokens(loaded)
    said = LaneStep(
        lane=name,
        index=index,
        token=as_tokens(loaded.tokenizer, (token,))[0],
        text=loaded.tokenizer.decode(track.tokens[:-1] if track.ended else track.tokens),
        top=top_candidates(loaded.tokenizer, log_p),
        kl_to_context=None if context is None else finite_or_none(kl_divergence(context, log_p)),
    )
    track.steps.append(said)
    return said


def summarize(tracks: dict[Lane, Track], spec: PatchSpec, sampling: Sampling) -> Generation:
    """The lanes' texts, and how the others compare with the context lane."""
    context = tracks["context"]
    others: dict[Lane, Track] = {name: track for name, track in tracks.items() if name != "context"}
    return Generation(
        lanes={
            name: LaneText(
                text=track.steps[-1].text if track.steps else "",
                token_ids=tuple(track.tokens),
                steps=tuple(track.steps),
            )
            for name, track in tracks.items()
        },
        agreement={name: agree(context.tokens, track.tokens) for name, track in others.items()},
        fit={
            name: logit_error(context.first_logits, track.first_logits)
            for name, track in others.items()
            if context.first_logits is not None and track.first_logits is not None
        },
        recipe=spec.recipe,
        layers=tuple(site.layer for site in spec.sites),
        sampling=sampling,
    )


def agree(reference: Sequence[int], tokens: Sequence[int]) -> Agreement:
    """How far ``tokens`` say the same as ``reference``; a lane that stops early differs where it stops."""
    total = max(len(reference), len(tokens))
    equal = [k < len(reference) and k < len(tokens) and reference[k] == tokens[k] for k in range(total)]
    first = next((k for k, same in enumerate(equal) if not same), None)
    return Agreement(equal=sum(equal), total=total, first_difference=first)


def logit_error(reference: Tensor, logits: Tensor) -> LogitError:
    """Last-token logits against the contextual ones; MSE and L∞ in logits, KL in nats."""
    difference = logits - reference.to(logits.device)
    kl = kl_divergence(reference.to(logits.device).log_softmax(-1), logits.log_softmax(-1))
    return LogitError(
        mse=finite_or_none(difference.square().mean()),
        kl=finite_or_none(kl),
        linf=finite_or_none(difference.abs().max()),
        top1_equal=bool(logits.argmax() == reference.argmax()),
    )
