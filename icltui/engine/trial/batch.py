"""Prompts of one shape as the rows of one forward pass: with the context, without it, and through patches.

Enters: prompts of equal numbers of tokens. Leaves: logits of all rows, and the states that their patches are made of.
No row is padded, so that each has the numbers of its prompt alone, but for the rounding of larger matrices.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import forward_rows, position_ids
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.decoding import TargetCapture
from icltui.engine.trial.lower_blocks import LowerBlocks, lower_blocks
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.row_heuristic import HeuristicRows
from icltui.engine.trial.row_patch import HeldRows, RowDifferences, RowTokenPatch
from icltui.engine.trial.row_score import centred_mse, row_kl
from icltui.engine.trial.row_strength import GRID, search_rows
from icltui.values.bounds import SEED
from icltui.values.errors import EngineError
from icltui.values.trial import TrialPatch

Logits = Float[Tensor, "rows positions vocabulary"]
RowPatch = RowTokenPatch | HeldRows | HeuristicRows
Curve = tuple[tuple[float, float | None, float | None], ...]


@dataclass
class RowCapture(TargetCapture):
    """Keeps z and v of some tokens of each row, and which experts they go to."""

    experts: dict[int, Tensor] = field(default_factory=dict)

    def routing(self, layer: int, experts: Int[Tensor, "tokens chosen"]) -> None:
        at = self.at if isinstance(self.at, slice) else self.at.to(experts.device)
        self.experts[layer] = experts[at]


@dataclass(frozen=True)
class PatchedRows:
    """What a patch gives on each row."""

    logits: Logits
    alphas: list[float]
    curves: list[Curve] | None = None
    """Of a searched strength."""


@dataclass(frozen=True)
class Batch:
    """The rows; a patch reaches the query's tokens and those of the answer that are read after it."""

    loaded: LoadedModel
    sites: Sequence[Site]
    prompts: Sequence[TrialPrompt]
    known_below: dict[int, LowerBlocks | None] = field(default_factory=dict)
    """What is below each layer, once it was asked for."""
    shuffled: dict[int, RowCapture] = field(default_factory=dict)
    """The states in the context shuffled by a seed."""

    @property
    def n_rows(self) -> int:
        return len(self.prompts)

    @property
    def n_forced(self) -> int:
        """Tokens of the answer that are read."""
        return len(self.prompts[0].forced)

    @property
    def n_targets(self) -> int:
        """The last tokens of each row that a patch per step reaches."""
        return len(self.prompts[0].ids.query) + self.n_forced

    @property
    def last_query(self) -> int:
        """The index of the query's last token in a row without the context."""
        return len(self.prompts[0].ids.plain) - 1

    @cached_property
    def contextual(self) -> tuple[Logits, RowCapture]:
        """Logits with the context, and the states of the target tokens."""
        return self._with_context([one.ids.context for one in self.prompts])

    @cached_property
    def plain(self) -> tuple[Logits, RowCapture]:
        """Logits without the context and without a patch, and the states of the query's last token."""
        length = len(self._plain_rows(self.n_forced)[0])
        at = torch.arange(self.n_rows) * length + self.last_query
        with attach(self.sites, capture := RowCapture(at)):
            return self._without_context(self.n_forced), capture

    def patched(self, patch: TrialPatch) -> PatchedRows:
        """Logits without the context through ``patch``.

        Raises:
            EngineError: logits that are not finite.
        """
        seeds = [(patch.seed + one.seed) % (SEED + 1) for one in self.prompts]
        sites = [site for site in self.sites if patch.layers is None or site.layer in patch.layers]
        hook = self._hook(patch, sites, self._aimed_at(patch, seeds).targets(sites), seeds)
        if isinstance(hook, HeldRows):
            fitted = self._through(hook, [1.0] * self.n_rows, self.n_forced)
            if patch.alpha == 1.0:
                return PatchedRows(fitted, [1.0] * self.n_rows)
        if patch.alpha != "search":
            alphas = [patch.alpha] * self.n_rows
            return PatchedRows(self._through(hook, alphas, self.n_forced), alphas)
        alphas, curves = self._searched(hook)
        return PatchedRows(self._through(hook, alphas, self.n_forced), alphas, curves)

    def _aimed_at(self, patch: TrialPatch, seeds: Sequence[int]) -> RowCapture:
        """The states that the patch is made of; those of the last shuffle stay for other patches."""
        if patch.control != "shuffled":
            return self.contextual[1]
        if patch.seed not in self.shuffled:
            self.shuffled.clear()
            rows = zip(self.prompts, seeds, strict=True)
            contexts = [_shuffled(one.ids.context, seed) for one, seed in rows]
            self.shuffled[patch.seed] = self._with_context(contexts)[1]
        return self.shuffled[patch.seed]

    def _hook(
        self, patch: TrialPatch, sites: Sequence[Site], targets: States, seeds: Sequence[int]
    ) -> RowPatch:
        n_first = len(self.prompts[0].ids.query) if patch.mode == "per-step" else 1
        differences = RowDifferences(seeds if patch.control == "random" else None, n_first)
        ones = torch.ones(self.n_rows, dtype=torch.float64)
        if patch.rule == "unembedding":
            return self._heuristic(sites, ones)
        if patch.mode == "per-step":
            return RowTokenPatch(
                sites, patch.components, differences=differences, strengths=ones, all_targets=targets
            )
        at = self.last_targets
        z, v = (tensor[:, at.to(tensor.device)] for tensor in (targets.z, targets.v))
        return HeldRows(
            sites, patch.components, self.n_rows, self.last_query, z, v, differences, strengths=ones
        )

    @property
    def last_targets(self) -> Int[Tensor, " rows"]:
        """The index of each query's last token among the target tokens of all rows."""
        return last_of_rows(self.n_rows, self.n_targets, 1, self.n_forced).flatten()

    def _heuristic(self, sites: Sequence[Site], strengths: Float[Tensor, " rows"]) -> HeuristicRows:
        (_, plain), (_, context), at = self.plain, self.contextual, self.last_targets
        layers = [site.layer for site in sites]
        z_context = [context.z[layer][at.to(context.z[layer].device)] for layer in layers]
        v, z = ([kept[layer] for layer in layers] for kept in (plain.v, plain.z))
        return HeuristicRows(self.loaded.model, sites, v, z, z_context, strengths)

    def _searched(self, hook: RowPatch) -> tuple[list[float], list[Curve]]:
        """Each row's best strength at the query's last token, and its losses on the coarse grid."""
        wanted = self.contextual[0][:, 0]
        lower = self._lower_blocks(hook.sites)
        tried: dict[float, tuple[list[float], list[float]]] = {}

        def loss(alphas: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
            logits = self._through(hook, alphas.tolist(), 0, lower)[:, 0]
            found, alpha = centred_mse(wanted, logits), float(alphas[0])
            if abs(alpha) in GRID and bool((alphas == alpha).all()):
                tried[alpha] = found.tolist(), row_kl(wanted, logits).tolist()
            return found

        alphas = search_rows(loss, self.n_rows)
        if isinstance(hook, HeuristicRows):  # either sign may be meant
            opposite = -search_rows(lambda alphas: loss(-alphas), self.n_rows)
            alphas = torch.where((loss(opposite) < loss(alphas)).cpu(), opposite, alphas)
        curves: list[Curve] = [
            tuple(
                (alpha, finite_or_none(mse[row]), finite_or_none(kl[row]))
                for alpha, (mse, kl) in sorted(tried.items())
            )
            for row in range(self.n_rows)
        ]
        return alphas.tolist(), curves

    def _lower_blocks(self, patched: Sequence[Site]) -> LowerBlocks | None:
        """The blocks below the patched ones; None where they must run each time."""
        first = min((site.layer for site in patched), default=0)
        if first not in self.known_below:
            blocks = [site.block for site in self.sites if site.layer < first]
            is_whole = len(blocks) == first
            run = partial(self._without_context, 0)
            self.known_below[first] = lower_blocks(blocks, run) if is_whole else None
        return self.known_below[first]

    def _through(
        self, hook: RowPatch, alphas: Sequence[float], n_forced: int, lower: LowerBlocks | None = None
    ) -> Logits:
        """Logits through the patch at each row's strength, on rows with ``n_forced`` tokens of the answer."""
        hook.strengths = torch.tensor(alphas, dtype=torch.float64)
        if isinstance(hook, RowTokenPatch):
            hook.differences.restart()
            self._aim(hook, n_forced)
        acting = hook.acting() if isinstance(hook, HeuristicRows) else attach(hook.sites, hook)
        with nullcontext() if lower is None else lower.skipped(), acting if any(alphas) else nullcontext():
            return self._without_context(n_forced)

    def _aim(self, hook: RowTokenPatch, n_forced: int) -> None:
        """Aim at the target tokens of rows with ``n_forced`` tokens of the answer; more may have targets."""
        assert hook.all_targets is not None
        targets, n = hook.all_targets, len(self.prompts[0].ids.query) + n_forced
        if n < self.n_targets:
            kept = last_of_rows(self.n_rows, self.n_targets, self.n_targets)[:, :n].flatten()
            z, v = (tensor[:, kept.to(tensor.device)] for tensor in (targets.z, targets.v))
            targets = States(z, v, v, v.new_zeros(v.shape[:2]), {})
        hook.aim(targets, last_of_rows(self.n_rows, self.last_query + 1 + n_forced, n).flatten())

    def _with_context(self, contexts: Sequence[tuple[int, ...]]) -> tuple[Logits, RowCapture]:
        rows = [
            [*replace(one.ids, context=context).full, *one.forced]
            for one, context in zip(self.prompts, contexts, strict=True)
        ]
        at = last_of_rows(self.n_rows, len(rows[0]), self.n_targets).flatten()
        with attach(self.sites, capture := RowCapture(at)):
            return self.run(rows, [range(len(row)) for row in rows], 1 + self.n_forced), capture

    def _plain_rows(self, n_forced: int) -> list[list[int]]:
        return [[*one.ids.plain, *one.forced[:n_forced]] for one in self.prompts]

    def _without_context(self, n_forced: int) -> Logits:
        positions = [
            position_ids(one.ids, (0, len(one.ids.context)), one.positions, n_more=n_forced)
            for one in self.prompts
        ]
        return self.run(self._plain_rows(n_forced), positions, 1 + n_forced)

    def run(self, rows: Sequence[Sequence[int]], positions: Sequence[Sequence[int]], n_logits: int) -> Logits:
        """Logits after the last ``n_logits`` tokens of each row.

        Raises:
            EngineError: logits that are not finite.
        """
        logits = widen(forward_rows(self.loaded.model, rows, positions, n_logits))
        if not bool(logits.sum().isfinite()) and not bool((logits < torch.inf).all()):
            raise EngineError("the model's logits are not numbers")
        return logits


def last_of_rows(n_rows: int, length: int, n: int, room: int = 0) -> Int[Tensor, "rows targets"]:
    """Indices of the ``n`` tokens of each row before its last ``room``, the rows being laid end to end."""
    ends = torch.arange(1, n_rows + 1)[:, None] * length - room
    return ends - n + torch.arange(n)


def _shuffled(context: tuple[int, ...], seed: int) -> tuple[int, ...]:
    chance = torch.Generator().manual_seed(seed)
    return tuple(context[k] for k in torch.randperm(len(context), generator=chance).tolist())
