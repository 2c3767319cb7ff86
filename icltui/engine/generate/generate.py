"""Lanes of text side by side: with the context, the query alone, the query alone through a patch.

Enters: specs, and a built patch. Leaves: lane steps as they come, then each spec's :class:`~icltui.values.Generation`.
The lanes advance together, so that their distributions can be compared token by token; all share the noise of a step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jaxtyping import Float
from msgspec.structs import replace as with_changes
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.generate.batching_check import check_padding
from icltui.engine.generate.lane_in_context import LanesInContext
from icltui.engine.generate.sampling import Sampler
from icltui.engine.measure.forward_pass import position_ids
from icltui.engine.measure.predictions import finite_or_none, kl_divergence, top_candidates
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch, PatchSpec, token_patch
from icltui.engine.patch.decoding import ContextDecoder, Decoder, PerStepDecoder, Rows, stop_tokens
from icltui.engine.prompts.token_texts import as_tokens
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Agreement, Generation, Lane, LaneStep, LaneText, LogitError
from icltui.values.recipe import Sampling

_FREE: Mapping[Lane, Sequence[int]] = MappingProxyType({})


@dataclass
class Track:
    """The tokens of one lane so far."""

    forced: Sequence[int] = ()
    """The tokens that it begins with, whatever it would draw."""
    first_logits: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    steps: list[LaneStep] = field(default_factory=list)
    ended: bool = False


def generate(
    specs: Sequence[PatchSpec],
    built: BuiltPatch | None,
    *,
    lanes: Sequence[Lane],
    n_tokens: int,
    sampling: Sampling = Sampling(),  # noqa: B008 -- frozen
    forced: Mapping[Lane, Sequence[int]] = _FREE,
    in_context: LanesInContext | None = None,
    context: Decoder | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Iterator[LaneStep | Generation]:
    """Lane steps in the order in which they are made, then the whole generation of each spec.

    The specs differ in their query alone, and share one built patch; more than one run as a batch. The context lane
    always runs, as the others are measured against it: by the decoder ``context`` where it is given. The patched lane
    needs a built patch. With ``in_context``, of the one spec, the generation has each lane's divergence along its own
    text too.

    Raises:
        PaddingChangesLogits: padding changes this model's logits; no step was made.
    """
    names: tuple[Lane, ...] = ("context", *(lane for lane in lanes if lane != "context"))
    tracks: list[dict[Lane, Track]] = [{name: Track(forced.get(name, ())) for name in names} for _ in specs]
    decoders: dict[Lane, Decoder] = {} if context is None else {"context": context}
    for name in names[len(decoders) :]:
        decoders[name] = make_decoder(specs, built, name, decoders.get("context"))
    sampler = Sampler(sampling)
    for index in range(n_tokens):
        on_progress(f"generating for {len(specs)} queries", index, n_tokens)
        reference: list[Tensor | None] = [None] * len(specs)
        for name, decoder in decoders.items():
            if all(of[name].ended for of in tracks):
                continue
            logits = decoder.prefill() if index == 0 else decoder.step([of[name].tokens[-1] for of in tracks])
            if index == 0 and name == "context" and len(specs) > 1:
                check_padding(specs, logits)
            for number, (spec, of) in enumerate(zip(specs, tracks, strict=True)):
                if of[name].ended:
                    continue
                if name == "context":
                    reference[number] = logits[number].log_softmax(-1)
                same = of[name].tokens == of["context"].tokens[:index]
                yield _advance(
                    spec.loaded, name, of[name], sampler, logits[number], reference[number] if same else None
                )
                if in_context is not None and not same:
                    in_context.add(name, of[name].tokens, logits[number])
        if all(track.ended for of in tracks for track in of.values()):
            break
    if in_context is not None:
        _take_divergences(tracks[0], in_context)
    yield from (summarize(of, spec, sampling) for of, spec in zip(tracks, specs, strict=True))


def _take_divergences(tracks: dict[Lane, Track], in_context: LanesInContext) -> None:
    """Puts the divergence along its own text into each step of the other lanes."""
    for name, track in tracks.items():
        if name != "context":
            later = in_context.divergences(name)
            track.steps = [
                with_changes(step, kl_on_own_text=later.get(step.index, step.kl_to_context))
                for step in track.steps
            ]


def make_decoder(
    specs: Sequence[PatchSpec], built: BuiltPatch | None, name: Lane, leader: Decoder | None = None
) -> Decoder:
    """The lane ``name`` of all specs; a patch per step takes its states from ``leader``, the context's own lane."""
    spec, model = specs[0], specs[0].loaded.model
    is_per_step = built is not None and built.patch is None
    if name == "context":
        shares = is_per_step and all(one.control_ids == one.ids for one in specs)
        return (
            contextual(specs)
            if shares
            else Decoder(_contextual_rows(model, [one.ids for one in specs]), None)
        )
    positions = [position_ids(one.ids, (0, len(one.ids.context)), one.positions) for one in specs]
    rows = Rows(model, [one.ids.plain for one in specs], positions)
    if name == "plain":
        return Decoder(rows, None)
    assert built is not None, "build the patch before its lane is made"
    if built.patch is not None:
        return Decoder(rows, built.patch.at(built.alpha))
    patch = token_patch(spec, built.alpha)
    leader = leader if isinstance(leader, ContextDecoder) else None
    return PerStepDecoder(rows, patch, contextual(specs), [len(one.ids.query) for one in specs], leader)


def contextual(specs: Sequence[PatchSpec]) -> ContextDecoder:
    """Rows in the context that the patch is made of, whose states aim it."""
    rows = _contextual_rows(specs[0].loaded.model, [one.control_ids for one in specs])
    return ContextDecoder(rows, None, specs[0].sites, [len(one.ids.query) for one in specs])


def _contextual_rows(model: Any, ids: Sequence[Ids]) -> Rows:
    return Rows(model, [one.full for one in ids], [range(len(one.full)) for one in ids])


def _advance(
    loaded: LoadedModel,
    name: Lane,
    track: Track,
    sampler: Sampler,
    logits: Float[Tensor, " vocabulary"],
    context: Float[Tensor, " vocabulary"] | None,
) -> LaneStep:
    """Draws the next token of a lane.

    ``context``: the contextual lane's log-probabilities, where both lanes have equal tokens so far.
    """
    log_p, index = logits.log_softmax(-1), len(track.tokens)
    token = track.forced[index] if index < len(track.forced) else sampler.draw(log_p, index)
    track.tokens.append(token)
    track.first_logits = logits if index == 0 else track.first_logits
    track.ended = token in stop_tokens(loaded)
    made = LaneStep(
        lane=name,
        index=index,
        token=as_tokens(loaded.tokenizer, (token,))[0],
        text=loaded.tokenizer.decode(track.tokens[:-1] if track.ended else track.tokens),
        top=top_candidates(loaded.tokenizer, log_p),
        kl_to_context=None if context is None else finite_or_none(kl_divergence(context, log_p)),
        drawn_probability=float(log_p[token].exp()),
        rank=int((log_p >= log_p[token]).sum()),
        is_end=track.ended,
    )
    track.steps.append(made)
    return made


def summarize(tracks: dict[Lane, Track], spec: PatchSpec, sampling: Sampling) -> Generation:
    """The lanes' texts, and a comparison of each other lane with the context lane."""
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
        forced={name: tuple(track.forced) for name, track in tracks.items() if track.forced},
    )


def agree(reference: Sequence[int], tokens: Sequence[int]) -> Agreement:
    """How far ``tokens`` agree with ``reference``; a lane that stops early differs where it stops."""
    total = max(len(reference), len(tokens))
    equal = [k < len(reference) and k < len(tokens) and reference[k] == tokens[k] for k in range(total)]
    first = next((k for k, same in enumerate(equal) if not same), None)
    return Agreement(equal=sum(equal), total=total, first_difference=first)


def logit_error(reference: Float[Tensor, " vocabulary"], logits: Float[Tensor, " vocabulary"]) -> LogitError:
    """Last-token logits against the contextual ones; MSE and L∞ in logits, KL in nats."""
    difference = logits - reference.to(logits.device)
    kl = kl_divergence(reference.to(logits.device).log_softmax(-1), logits.log_softmax(-1))
    return LogitError(
        mse=finite_or_none(difference.square().mean()),
        kl=finite_or_none(kl),
        linf=finite_or_none(difference.abs().max()),
        top1_equal=bool(logits.argmax() == reference.argmax()),
    )
