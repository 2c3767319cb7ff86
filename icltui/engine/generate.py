"""Three lanes of greedy text: with the context, the query alone, the query through patched weights.

Enters: ids and a patch's description. Leaves: lane steps as they come, then the
:class:`~icltui.record.Generation`. The lanes advance side by side, each with a key-value cache of its own, so
that their distributions can be compared token by token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from icltui.engine.capture import States, capturing
from icltui.engine.model import LoadedModel
from icltui.engine.patch import HeldPatch, Patch, TokenPatch
from icltui.engine.predictions import candidates, divergence, plain
from icltui.engine.run import Cache, forward
from icltui.engine.site import Site, attach
from icltui.engine.tokens import Ids, pieces
from icltui.prompt import Positions
from icltui.record import (
    Agreement,
    Components,
    Generation,
    Lane,
    LaneStep,
    LaneText,
    LogitError,
    Mode,
)


@dataclass
class _Run:
    """A model run that continues token by token, with the cache of what went before."""

    model: Any
    cache: Cache = field(default_factory=Cache)
    n_missing: int = 0
    """How many places are left free behind the first ``n_kept`` tokens: where the context would stand."""
    n_kept: int = 0

    def feed(self, ids: Sequence[int]) -> Tensor:
        """Logits (vocabulary,) behind ``ids``, which continue what was fed before."""
        indices = range(self.cache.length, self.cache.length + len(ids))
        at = [index if index < self.n_kept else index + self.n_missing for index in indices]
        return forward(self.model, ids, self.cache, at=at)


@dataclass
class ContextRun(_Run):
    """The contextual run: tells the states at the selected sites of the last ``n`` tokens it was fed."""

    sites: Sequence[Site] = ()

    def states(self, ids: Sequence[int], n: int) -> tuple[Tensor, States]:
        """Feed ``ids``; logits behind them, and the states of their last ``n``."""
        with capturing(self.sites, slice(len(ids) - n, None)) as capture:
            logits = self.feed(ids)
        return logits, capture.states()


@dataclass
class PatchedRun(_Run):
    """The run without the context, through a patch."""

    sites: Sequence[Site] = ()
    patch: Patch | None = None

    def feed(self, ids: Sequence[int]) -> Tensor:
        assert self.patch is not None
        with attach(self.sites, self.patch):
            return super().feed(ids)


def n_missing(ids: Ids, positions: Positions) -> int:
    """How many places a run without the context leaves free."""
    return len(ids.context) if positions == "keep" else 0


@dataclass
class SteppingLane:
    """Per step: every token gets a patch of its own, from a contextual run beside it."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    components: Components
    positions: Positions = "reset"

    def __post_init__(self) -> None:
        self.beside = ContextRun(self.loaded.model, sites=self.sites)
        self.patch = TokenPatch(self.sites, self.components)
        self.run = PatchedRun(
            self.loaded.model,
            sites=self.sites,
            patch=self.patch,
            n_missing=n_missing(self.ids, self.positions),
            n_kept=len(self.ids.prefix),
        )

    def start(self) -> Tensor:
        _, targets = self.beside.states(self.ids.full, len(self.ids.query))
        self.patch.aim(targets, n_kept=len(self.ids.prefix))
        return self.run.feed(self.ids.plain)

    def feed(self, token: int) -> Tensor:
        _, targets = self.beside.states([token], 1)
        self.patch.aim(targets)
        return self.run.feed([token])


@dataclass
class FrozenLane:
    """Frozen: the patch of the query's last token, held for every token of the lane."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    components: Components
    positions: Positions = "reset"

    def start(self) -> Tensor:
        _, targets = ContextRun(self.loaded.model, sites=self.sites).states(self.ids.full, 1)
        patch = HeldPatch(self.sites, self.components, targets)
        self.run = PatchedRun(
            self.loaded.model,
            sites=self.sites,
            patch=patch,
            n_missing=n_missing(self.ids, self.positions),
            n_kept=len(self.ids.prefix),
        )
        return self.run.feed(self.ids.plain)

    def feed(self, token: int) -> Tensor:
        return self.run.feed([token])


@dataclass
class PlainLane:
    """No patch: the row that it starts with is the only difference between the first two lanes."""

    loaded: LoadedModel
    row: list[int]
    n_missing: int = 0
    n_kept: int = 0

    def __post_init__(self) -> None:
        self.run = _Run(self.loaded.model, n_missing=self.n_missing, n_kept=self.n_kept)

    def start(self) -> Tensor:
        return self.run.feed(self.row)

    def feed(self, token: int) -> Tensor:
        return self.run.feed([token])


AnyLane = PlainLane | SteppingLane | FrozenLane


@dataclass
class _Track:
    """What a lane has said so far."""

    lane: AnyLane
    first_logits: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    steps: list[LaneStep] = field(default_factory=list)
    ended: bool = False


def generate(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    *,
    lanes: Sequence[Lane],
    mode: Mode,
    components: Components,
    n_tokens: int,
    positions: Positions = "reset",
) -> Iterator[LaneStep | Generation]:
    """Lane steps in the order in which they are made, then the whole generation.

    The context lane always runs, as the others are measured against it.
    """
    tracks = {
        name: _Track(make_lane(loaded, sites, ids, name, mode, components, positions)) for name in lanes
    }
    tracks = {"context": tracks.pop("context", _Track(PlainLane(loaded, ids.full))), **tracks}
    for index in range(n_tokens):
        context_log_p: Tensor | None = None
        for name, track in tracks.items():
            if track.ended:
                continue
            logits = track.lane.start() if index == 0 else track.lane.feed(track.tokens[-1])
            track.first_logits = logits if index == 0 else track.first_logits
            log_p = logits.log_softmax(-1)
            context_log_p = log_p if name == "context" else context_log_p
            same = track.tokens == tracks["context"].tokens[:index]
            yield _step(loaded, name, track, index, log_p, context_log_p if same else None)
        if all(track.ended for track in tracks.values()):
            break
    yield summarize(tracks, mode, components, tuple(site.layer for site in sites))


def make_lane(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    name: Lane,
    mode: Mode,
    components: Components,
    positions: Positions = "reset",
) -> AnyLane:
    """The lane of that name."""
    if name == "context":
        return PlainLane(loaded, ids.full)
    if name == "plain":
        return PlainLane(loaded, ids.plain, n_missing(ids, positions), len(ids.prefix))
    kind = SteppingLane if mode == "per-step" else FrozenLane
    return kind(loaded, sites, ids, components, positions)


def _step(
    loaded: LoadedModel, name: Lane, track: _Track, index: int, log_p: Tensor, context: Tensor | None
) -> LaneStep:
    token = int(log_p.argmax())
    track.tokens.append(token)
    track.ended = token in stop_tokens(loaded)
    step = LaneStep(
        lane=name,
        index=index,
        token=pieces(loaded.tokenizer, (token,))[0],
        text=loaded.tokenizer.decode(track.tokens[:-1] if track.ended else track.tokens),
        top=candidates(loaded.tokenizer, log_p),
        kl_to_context=None if context is None else plain(divergence(context, log_p)),
    )
    track.steps.append(step)
    return step


def stop_tokens(loaded: LoadedModel) -> set[int]:
    """Ids behind which the model itself would stop."""
    eos = loaded.model.generation_config.eos_token_id if loaded.model.generation_config else None
    return set(eos) if isinstance(eos, list) else set() if eos is None else {eos}


def summarize(
    tracks: dict[Lane, _Track], mode: Mode, components: Components, layers: tuple[int, ...]
) -> Generation:
    """The lanes' texts, and how the others compare with the context lane."""
    context = tracks["context"]
    others: dict[Lane, _Track] = {name: track for name, track in tracks.items() if name != "context"}
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
        mode=mode,
        components=components,
        layers=layers,
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
    kl = divergence(reference.to(logits.device).log_softmax(-1), logits.log_softmax(-1))
    return LogitError(
        mse=plain(difference.square().mean()),
        kl=plain(kl),
        linf=plain(difference.abs().max()),
        top1_equal=bool(logits.argmax() == reference.argmax()),
    )
