"""The states and next-token logits after every part of the context: in one packed pass, or one by one.

Enters: the ids, the selected sites, and how units come and go. Leaves, chunk by chunk: z and v at the query's last
token and the logits there, a *copy* of the query for each unit. Causal attention makes the context's keys and values
independent of what follows, so the context runs once with a cache; then copies of the query are packed in one row,
copy i at its positions, with a mask that lets it see its part of the context and its own tokens. Cost: n + (n+1) q
tokens, not n²/2.

Under the reference *local* ([2], [3]) every selected layer is handed the residual stream of the contextual run, so that
a missing unit is missing from that layer's attention alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import ProjectionCapture
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.block_inputs import (
    BlockInputs,
    GivenBlockInputs,
    Streams,
    contextual_inputs,
    one_for_each_token,
)
from icltui.engine.measure.context_cache import extend, first_tokens
from icltui.engine.measure.forward_pass import Gap, KVCache, forward, position_ids, token_row
from icltui.engine.measure.packed_mask import packed_masks
from icltui.engine.models.device import free_bytes
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.models.memory_estimate import MeasureCost, cached_per_layer, largest
from icltui.engine.models.upcast import computing_dtype
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Dynamics, Path, Reference
from icltui.values.prompt import Positions

Result = TypeVar("Result")

FIRST_CHUNK_TOKENS = 32
"""The first chunk of a long run is small, so that numbers appear at once."""
SHORT_RUN = 4e10
"""Parameters times tokens below which a run takes about a second, and a small first chunk only costs time."""


@dataclass(frozen=True)
class Plan:
    """The prompt's ids, and how its units come and go."""

    ids: Ids
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    positions: Positions = "reset"
    early: bool | None = None
    """Whether the first units come before the whole context has run; None: where the run is long."""

    @property
    def n_units(self) -> int:
        return len(self.ids.ends) - 1

    @property
    def full(self) -> int:
        """The unit whose copy sees the whole context."""
        return self.n_units if self.dynamics == "grow" else 0

    def gap(self, unit: int) -> Gap:
        """The context tokens that are missing at ``unit``."""
        ends = self.ids.ends
        if self.dynamics == "grow":
            return ends[unit], ends[-1]
        return (0 if self.dynamics == "shrink" else ends[max(unit - 1, 0)]), ends[unit]

    @property
    def packs(self) -> bool:
        """Whether all copies can share one contextual cache: no kept token's states may depend on the gap."""
        return self.dynamics == "grow" or (self.reference, self.positions) == ("local", "keep")


@dataclass(frozen=True)
class PrefixChunk:
    """States and logits at some units."""

    units: tuple[int, ...]
    z: Float[Tensor, "copies layers hidden"]
    v: Float[Tensor, "copies layers hidden"]
    g_norm: Float[Tensor, "copies layers"]
    experts: dict[int, Int[Tensor, "copies chosen"]]
    images: dict[int, dict[str, Float[Tensor, "copies _inner"]]]
    """W z by layer and matrix, where the model's own pass computes it."""
    logits: Float[Tensor, "copies vocabulary"] | None
    """Logits of ordinary runs; None where each would need a run of its own."""

    def at(self, index: slice) -> "PrefixChunk":
        """Some of the copies."""
        return PrefixChunk(
            self.units[index],
            self.z[index],
            self.v[index],
            self.g_norm[index],
            {layer: chosen[index] for layer, chosen in self.experts.items()},
            {layer: {name: p[index] for name, p in of.items()} for layer, of in self.images.items()},
            None if self.logits is None else self.logits[index],
        )

    def clone(self) -> "PrefixChunk":
        """The copies in tensors of their own, which do not keep those alive that they were taken from."""
        return PrefixChunk(
            self.units,
            self.z.clone(),
            self.v.clone(),
            self.g_norm.clone(),
            {layer: chosen.clone() for layer, chosen in self.experts.items()},
            {layer: {name: p.clone() for name, p in of.items()} for layer, of in self.images.items()},
            None if self.logits is None else self.logits.clone(),
        )


def measure_prefixes(
    loaded: LoadedModel, sites: Sequence[Site], plan: Plan, path: Path
) -> Iterator[PrefixChunk]:
    """Every unit's copy once, from unit 0 up, but the full context's as soon as all of the context has run."""
    packed = path == "packed" and plan.packs
    yield from (_PackedPass(loaded, sites, plan).chunks() if packed else _one_by_one(loaded, sites, plan))


def _chunk(
    units: Sequence[int], capture: ProjectionCapture, logits: Float[Tensor, "copies vocabulary"] | None
) -> PrefixChunk:
    states = capture.states()
    z, v = states.z.transpose(0, 1), states.v.transpose(0, 1)
    return PrefixChunk(tuple(units), z, v, states.g_norm.T, states.experts, capture.projections, logits)


def _orders_full_first(plan: Plan, sites: Sequence[Site]) -> bool:
    """Whether the full context must run first, as its token decides which experts act."""
    return plan.reference == "local" or any(
        r.experts is not None for site in sites for r in site.input_projections
    )


def _one_by_one(loaded: LoadedModel, sites: Sequence[Site], plan: Plan) -> Iterator[PrefixChunk]:
    """One ordinary forward pass per unit, without a cache; under *local* one more for the states."""
    inputs = contextual_inputs(loaded, sites, plan.ids) if plan.reference == "local" else {}
    units = [unit for unit in range(plan.n_units + 1) if unit != plan.full]
    leads = plan.full == 0 or _orders_full_first(plan, sites)
    units.insert(0 if leads else 1, plan.full)
    for unit in units:
        gap = plan.gap(unit)
        tokens, at = token_row(plan.ids, gap), position_ids(plan.ids, gap, plan.positions)
        last = torch.tensor([len(tokens) - 1])
        with ExitStack() as stack:
            if inputs:
                logits = forward(loaded.model, tokens, position_ids=at)
                kept = torch.tensor(list(position_ids(plan.ids, gap, "keep")))
                stack.enter_context(attach(sites, GivenBlockInputs(inputs, kept)))
            stack.enter_context(attach(sites, capture := ProjectionCapture(last)))
            seen = forward(loaded.model, tokens, position_ids=at)
        yield _chunk((unit,), capture, (logits if inputs else seen)[None])


class _PackedPass:
    """The context once, with a cache; then chunks of copies, each after as much of it as one of its copies sees."""

    def __init__(self, loaded: LoadedModel, sites: Sequence[Site], plan: Plan) -> None:
        self.loaded, self.sites, self.plan, self.ids = loaded, sites, plan, plan.ids
        self.q, self.n_prefix = len(plan.ids.query), len(plan.ids.prefix)
        # Without a config the cache keeps its full length where attention has a sliding window, too.
        self.cache = KVCache(DynamicCache())
        self.inputs: Streams = {}
        self.n_per_chunk = 1
        """Copies in a chunk, fewer once the memory did not suffice for so many."""

    def chunks(self) -> Iterator[PrefixChunk]:
        units, self.n_per_chunk = self._first_units()
        if units:
            self._run_context(self.plan.gap(units[-1])[0])
            chunk = self._measure_as_fits(units)
            units = list(chunk.units)
            yield chunk
            del chunk  # so that its tensors are freed before the next chunk's are made
        self._run_context(len(self.ids.context))
        if self.plan.reference == "local":
            self._remember_inputs()
        rest = [unit for unit in range(len(units), self.plan.n_units + 1) if unit != self.plan.full]
        rest = rest if self.plan.full in units else [self.plan.full, *rest]
        size = self.n_per_chunk if units or self.is_whole else max(2, FIRST_CHUNK_TOKENS // self.q)
        while rest:
            size = -(-len(rest) // -(-len(rest) // size)) if self.is_whole else size  # of equal length
            chunk = self._measure_as_fits(rest[:size])
            rest, size = rest[len(chunk.units) :], self.n_per_chunk
            yield chunk
            del chunk

    @property
    def is_whole(self) -> bool:
        """Whether no unit is shown before the whole context has run, as the run is short."""
        if self.plan.early is not None:
            return not self.plan.early
        n_tokens = len(self.ids.full) + (self.plan.n_units + 1) * self.q
        n_parameters: int = sum(p.numel() for p in self.loaded.model.parameters())
        return n_tokens * n_parameters < SHORT_RUN

    def _first_units(self) -> tuple[list[int], int]:
        """The units shown before the whole context has run, if any; and the number of units in a later chunk."""
        n_per_chunk = max(1, tokens_per_chunk(self.loaded, self.sites, self.ids) // self.q)
        if self.plan.dynamics != "grow" or self.is_whole or _orders_full_first(self.plan, self.sites):
            return [], n_per_chunk
        n_first = min(self.plan.n_units + 1, n_per_chunk, max(2, FIRST_CHUNK_TOKENS // self.q))
        return list(range(n_first)), n_per_chunk

    def _run_context(self, end: int) -> None:
        """Extend the cache to the first ``end`` context tokens."""
        before = [*self.ids.prefix, *self.ids.context]
        extend(self.loaded.model, self.cache, before[self.cache.length : self.n_prefix + end])

    def _as_fits(self, run: Callable[[int], Result], size: int, of: str) -> tuple[Result, int]:
        """:func:`run_as_fits`, which leaves the cache as it is where the memory does not suffice."""
        length = self.cache.length
        return run_as_fits(run, size, of, lambda: self.cache.restore(length))

    def _remember_inputs(self) -> None:
        inputs = BlockInputs()
        with attach(self.sites, inputs):
            forward(self.loaded.model, self.ids.query, first_tokens(self.cache, self.cache.length))
        self.inputs = one_for_each_token(inputs.seen, self.q)

    def _measure_as_fits(self, units: list[int]) -> PrefixChunk:
        """As many of ``units``, from the first one on, as the memory suffices for at once."""
        chunk, n = self._as_fits(lambda n: self._measure(units[:n]), len(units), "copies of the query")
        if n < len(units):
            self.n_per_chunk = min(self.n_per_chunk, n)
        return chunk

    def _measure(self, units: list[int]) -> PrefixChunk:
        if not self.inputs:
            return _chunk(units, *self._pass(units, None))
        inherited = GivenBlockInputs(self.inputs, torch.arange(self.q).repeat(len(units)))
        capture, _ = self._pass(units, inherited)
        # The logits of an ordinary run are known only where copies share the ordinary run's cache.
        logits = self._pass(units, None)[1] if self.plan.dynamics == "grow" else None
        return _chunk(units, capture, logits)

    def _pass(
        self, units: list[int], hook: SiteHook | None
    ) -> tuple[ProjectionCapture, Float[Tensor, "copies vocabulary"]]:
        gaps = [self.plan.gap(unit) for unit in units]
        at = [p for gap in gaps for p in position_ids(self.ids, gap, self.plan.positions)[-self.q :]]
        last = torch.arange(1, len(units) + 1) * self.q - 1
        n_context = len(self.ids.context)
        n_seen = max(begin if end == n_context else n_context for begin, end in gaps)
        masks = packed_masks(self.loaded.model, gaps, self.n_prefix, n_context, n_seen, self.q)
        with ExitStack() as stack:
            if hook is not None:
                stack.enter_context(attach(self.sites, hook))
            stack.enter_context(attach(self.sites, capture := ProjectionCapture(last)))
            logits = forward(
                self.loaded.model,
                self.ids.query * len(units),
                first_tokens(self.cache, self.n_prefix + n_seen),
                position_ids=at,
                logits_to_keep=last,
                attention_mask=masks,
            )
        return capture, logits


def tokens_per_chunk(loaded: LoadedModel, sites: Sequence[Site], ids: Ids) -> int:
    """Query tokens in a chunk: as many as are quick, and as the memory that is free now suffices for."""
    return measure_cost(loaded, sites, ids).tokens_in_chunk(min(map(free_bytes, _devices(loaded, sites))))


def measure_cost(loaded: LoadedModel, sites: Sequence[Site], ids: Ids) -> MeasureCost:
    """The bytes that a packed measure of ``ids`` takes."""
    config: Any = loaded.model.config.get_text_config(decoder=True)
    hidden = loaded.model.get_input_embeddings().weight.shape[1]
    widths = [_width(site) for site in sites] or [4 * hidden]
    is_sdpa = loaded.model.config._attn_implementation == "sdpa"
    return MeasureCost(
        width=torch.finfo(computing_dtype(loaded.model)).bits // 8,
        hidden=hidden,
        widest=max(widths),
        all_widths=sum(widths),
        vocabulary=config.vocab_size,
        n_layers=len(sites),
        cached=cached_per_layer(config, hidden),
        n_blocks=loaded.n_layers,
        n_tokens=len(ids.full),
        n_query=len(ids.query),
        n_scores=0 if is_sdpa else 2 * largest(config, "num_attention_heads", 1),
        on_cpu=loaded.device.type == "cpu",
    )


def _devices(loaded: LoadedModel, sites: Sequence[Site]) -> set[torch.device]:
    """Every device on which the pass computes; offloaded weights come to the first one."""
    used = {parameter.device for site in sites for parameter in site.block.parameters()}
    return {device for device in used if device.type != "meta"} | {loaded.device}


def _width(site: Site) -> int:
    """The summed width of W z of all matrices that read one token's z; experts are not all active."""
    total = 0
    for projection in site.input_projections:
        if projection.experts is None:
            total += max(getattr(projection.module, projection.parameter).shape)
    return total
