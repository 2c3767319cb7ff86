"""Rows of tokens that a model continues side by side, through a patch where there is one.

Enters: rows, the position of each token, a patch. Leaves: logits after the last token of each row. One row is a batch
of one, without padding or mask, so that its numbers are those of the row alone. Several rows are padded on the left.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.run_model import forward_output
from icltui.engine.hooks.site import Site, SiteHook, input_device
from icltui.engine.measure.forward_pass import KVCache, can_use_cache, forward, forward_arguments
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.patch import HeldPatch, TokenPatch
from icltui.values.errors import BadInput


@dataclass
class Rows:
    """Rows with one key-value cache."""

    model: Any
    ids: Sequence[Sequence[int]]
    position_ids: Sequence[Sequence[int]]
    cache: KVCache = field(default_factory=KVCache)

    def __post_init__(self) -> None:
        self.longest = max(map(len, self.ids))
        self.next_positions = [positions[-1] + 1 for positions in self.position_ids]
        seen = [[0] * (self.longest - len(row)) + [1] * len(row) for row in self.ids]
        self.mask = torch.tensor(seen, device=input_device(self.model))

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        """Logits after the last token of each row."""
        return self._forward(self.ids, self.position_ids)

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Logits after one more token of each row."""
        positions = [[position] for position in self.next_positions]
        self.next_positions = [position + 1 for position in self.next_positions]
        return self._forward([[token] for token in tokens], positions)

    def last(self, counts: Sequence[int]) -> Int[Tensor, " targets"] | slice:
        """The indices of the last ``counts`` tokens of each row among all that :meth:`prefill` runs."""
        if len(counts) == 1:
            return slice(-counts[0], None)
        ends = ((number + 1) * self.longest for number in range(len(counts)))
        return torch.cat([torch.arange(end - n, end) for end, n in zip(ends, counts, strict=True)])

    def _forward(
        self, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]]
    ) -> Float[Tensor, "rows vocabulary"]:
        if len(rows) == 1:
            return forward(self.model, rows[0], self.cache, position_ids=positions[0])[None]
        longest = max(map(len, rows))
        ids, at = ([[0] * (longest - len(part)) + list(part) for part in kind] for kind in (rows, positions))
        if self.cache.length:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(rows), longest)], dim=1)
        output = forward_output(
            self.model,
            torch.tensor(ids, device=self.mask.device),
            position_ids=torch.tensor(at, device=self.mask.device),
            attention_mask=self.mask,
            past_key_values=self.cache.value,
            use_cache=True,
            **({"logits_to_keep": 1} if "logits_to_keep" in forward_arguments(self.model) else {}),
        )
        self.cache.value, self.cache.length = output.cache, self.cache.length + longest
        return widen(output.logits[:, -1])


def acting(patch: TokenPatch | HeldPatch | None) -> AbstractContextManager[object]:
    """A context manager in which the patch acts; at strength 0 the model stays bit for bit itself."""
    is_none = patch is None or (isinstance(patch.alpha, float) and patch.alpha == 0)
    return nullcontext() if patch is None or is_none else attach(patch.sites, patch)


@dataclass
class TargetCapture(SiteHook):
    """Keeps z and v of the tokens ``at``."""

    at: Int[Tensor, " targets"] | slice
    z: dict[int, Tensor] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)

    def mlp_input(self, layer: int, z: Float[Tensor, "tokens hidden"]) -> None:
        self.z[layer] = self._copy(z)

    def residual(self, layer: int, v: Float[Tensor, "tokens hidden"]) -> None:
        self.v[layer] = self._copy(v)

    def _copy(self, tensor: Float[Tensor, "tokens hidden"]) -> Float[Tensor, "targets hidden"]:
        at = self.at if isinstance(self.at, slice) else self.at.to(tensor.device)
        return widen(tensor[at]).clone()

    def targets(self, sites: Sequence[Site]) -> States:
        """The targets of a patch: z and v alone."""
        device = self.z[sites[0].layer].device
        z, v = (torch.stack([kept[site.layer].to(device) for site in sites]) for kept in (self.z, self.v))
        return States(z, v, v, z.new_zeros(z.shape[:2]), {})


@dataclass
class Decoder:
    """A lane: rows that continue token by token, with or without a held patch."""

    rows: Rows
    patch: HeldPatch | TokenPatch | None

    def __post_init__(self) -> None:
        self._acting = acting(self.patch)

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        """Logits after the last token of each row."""
        with self._acting:
            return self.rows.prefill()

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Logits after one more token of each row."""
        with self._acting:
            return self.rows.step(tokens)


@dataclass
class ContextDecoder(Decoder):
    """The lane with the context, whose states aim a patch per step as long as both lanes have the same text."""

    sites: Sequence[Site]
    n_query: Sequence[int]
    """The number of query tokens of each row."""
    tokens: list[list[int]] = field(default_factory=list)
    """The tokens of all rows at each step so far."""
    targets: States | None = None
    """States of the last pass: of the queries' tokens, then of each step's."""

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        with attach(self.sites, capture := TargetCapture(self.rows.last(self.n_query))):
            logits = super().prefill()
        self.targets = capture.targets(self.sites)
        return logits

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        self.tokens.append(list(tokens))
        with attach(self.sites, capture := TargetCapture(slice(-len(tokens), None))):
            logits = super().step(tokens)
        self.targets = capture.targets(self.sites)
        return logits


@dataclass
class PerStepDecoder(Decoder):
    """Rows with a patch of its own for every token, aimed by contextual rows.

    Raises:
        BadInput: a ``random`` control of several tokens, on a model that cannot continue from a cache.
    """

    patch: TokenPatch
    context: ContextDecoder
    """Contextual rows of this lane's own text."""
    n_query: Sequence[int]
    """The number of query tokens of each row; only these and later ones are patched."""
    leader: ContextDecoder | None = None
    """A lane that runs each token in the same context first, and spares ``context`` the pass while the texts agree."""
    targets: States | None = None
    """States of every token so far, for a model that cannot continue from a cache."""

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        if self.leader is None:
            self.context.prefill()
        self.targets = self._aiming.targets
        assert self.targets is not None
        self.patch.aim(self.targets, self.rows.last(self.n_query))
        return super().prefill()

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        self._follow(tokens)
        targets = self._aiming.targets
        assert targets is not None
        if can_use_cache(self.rows.model):
            self.patch.aim(targets)
        else:
            self._aim_again(targets)
        return super().step(tokens)

    @property
    def _aiming(self) -> ContextDecoder:
        return self.leader or self.context

    def _follow(self, tokens: Sequence[int]) -> None:
        """Let ``tokens`` run in the context, unless the leading lane has just done so."""
        if self.leader is None:
            self.context.step(tokens)
            return
        said, here = self.context.tokens, list(tokens)
        if self.leader.tokens == [*said, here]:
            said.append(here)
            return
        self.leader, self.context.tokens = None, []
        self.context.prefill()
        for step in (*said, here):
            self.context.step(step)

    def _aim_again(self, targets: States) -> None:
        if self.patch.noise is not None:
            raise BadInput(
                "this model has no cache to go on from, so that noise cannot stay: ask for 1 token"
            )
        assert self.targets is not None
        self.targets = States.join([self.targets, targets])
        self.patch.aim(self.targets, slice(-self.targets.z.shape[1], None))


def stop_tokens(loaded: LoadedModel) -> set[int]:
    """Ids after which the model stops by itself."""
    eos = loaded.model.generation_config.eos_token_id if loaded.model.generation_config else None
    return {token for token in (eos if isinstance(eos, list) else [eos]) if isinstance(token, int)}
