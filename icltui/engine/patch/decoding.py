"""Runs that go on token by token, and the lanes made of them; each has a key-value cache of its own.

Enters: ids, and a patch where there is one. Leaves: logits behind each token that is fed.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States, capturing
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward import KVCache, can_use_cache, forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.patch import HeldPatch, TokenPatch
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.prompt import Positions


@dataclass
class Run:
    """A model run that continues token by token, with the cache of what went before."""

    model: Any
    cache: KVCache = field(default_factory=KVCache)
    n_missing: int = 0
    """How many places are left free behind the first ``n_kept`` tokens: where the context would stand."""
    n_kept: int = 0

    def feed(self, ids: Sequence[int], keep: Tensor | None = None) -> Tensor:
        """Logits (vocabulary,) behind ``ids``, which continue what was fed before; or at ``keep``, see ``forward``."""
        indices = range(self.cache.length, self.cache.length + len(ids))
        at = [index if index < self.n_kept else index + self.n_missing for index in indices]
        return forward(self.model, ids, self.cache, at=at, keep=keep)


@dataclass
class ContextRun(Run):
    """The contextual run: tells the states at the selected sites of the last ``n`` tokens it was fed."""

    sites: Sequence[Site] = ()

    def states(self, ids: Sequence[int], n: int, keep: Tensor | None = None) -> tuple[Tensor, States]:
        """Feed ``ids``; logits behind them, and the states of their last ``n``."""
        with capturing(self.sites, slice(-n, None)) as capture:
            logits = self.feed(ids, keep)
        return logits, capture.states()


@dataclass
class PatchedRun(Run):
    """The run without the context, through a patch."""

    patch: TokenPatch | HeldPatch | None = None

    def __post_init__(self) -> None:
        self._acting = acting(self.patch)

    def feed(self, ids: Sequence[int], keep: Tensor | None = None) -> Tensor:
        with self._acting:
            return super().feed(ids, keep)


def acting(patch: TokenPatch | HeldPatch | None) -> AbstractContextManager[None]:
    """The patch acts inside each block on it; at strength 0 nothing does, and the model is bit for bit itself."""
    is_none = patch is None or (isinstance(patch.alpha, float) and patch.alpha == 0)
    return nullcontext() if patch is None or is_none else attach(patch.sites, patch)


@dataclass
class RowLane:
    """A row that a run continues: with the context, without it, or without it through a patch that is held."""

    run: Run
    row: list[int]

    def start(self) -> Tensor:
        """Logits (vocabulary,) behind the row."""
        return self.run.feed(self.row)

    def feed(self, token: int) -> Tensor:
        """Logits behind one more token."""
        return self.run.feed([token])


@dataclass
class SteppingLane:
    """Per step: every token gets a patch of its own, from a contextual run beside it."""

    loaded: LoadedModel
    ids: Ids
    patch: TokenPatch
    positions: Positions = "reset"
    other_context: tuple[int, ...] | None = None
    """What the run beside it reads in place of the prompt's own context: a control."""
    targets: States | None = None
    """Of every token of the row since its query, for a model that runs it again."""

    def __post_init__(self) -> None:
        self.beside = ContextRun(self.loaded.model, sites=self.patch.sites)
        self.run = without_context(self.loaded, self.ids, self.positions, self.patch)

    def start(self) -> Tensor:
        """Logits (vocabulary,) behind the row without the context, each token of its query patched."""
        ids = self.ids if self.other_context is None else replace(self.ids, context=self.other_context)
        _, targets = self.beside.states(ids.full, len(ids.query))
        return self._patched(targets, self.ids.plain)

    def feed(self, token: int) -> Tensor:
        """Logits behind one more token, patched."""
        _, targets = self.beside.states([token], 1)
        if can_use_cache(self.loaded.model):
            self.patch.aim(targets)
            return self.run.feed([token])
        assert self.targets is not None
        return self._patched(States.join([self.targets, targets]), [token])

    def _patched(self, targets: States, ids: Sequence[int]) -> Tensor:
        """Logits behind ``ids``, where all but the tokens in front of the context pass by."""
        if self.patch.noise is not None and not can_use_cache(self.loaded.model) and self.targets is not None:
            raise BadInput(
                "this model has no cache to go on from, so that noise cannot stay: ask for 1 token"
            )
        self.targets = targets
        self.patch.aim(targets, n_kept=len(self.ids.prefix))
        return self.run.feed(ids)


AnyLane = RowLane | SteppingLane


def without_context(
    loaded: LoadedModel, ids: Ids, positions: Positions, patch: TokenPatch | HeldPatch | None = None
) -> PatchedRun:
    """A run of the row without the context, its tokens where ``positions`` puts them."""
    missing = n_missing(ids, positions)
    return PatchedRun(loaded.model, n_missing=missing, n_kept=len(ids.prefix), patch=patch)


def n_missing(ids: Ids, positions: Positions) -> int:
    """How many places a run without the context leaves free."""
    return len(ids.context) if positions == "keep" else 0


def stop_tokens(loaded: LoadedModel) -> set[int]:
    """Ids behind which the model itself would stop."""
    eos = loaded.model.generation_config.eos_token_id if loaded.model.generation_config else None
    return {token for token in (eos if isinstance(eos, list) else [eos]) if isinstance(token, int)}
