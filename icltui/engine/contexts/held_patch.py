"""A patch of one context, held in the weights while other contexts are before the query: W + α ΔW reads every token.

Enters: prompts whose context the patch is made of, other contexts, strengths α. Leaves: log-probabilities of the
prompts' answers. Without a context and at α = 1 they are those of the patch's own context, exactly for an answer of one
token; beside a context the patch is what a steering vector is, a change that knows nothing of it.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.contexts.differences import Layers, layer_values
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.batch import Batch, last_of_rows
from icltui.engine.trial.batching import Numbered, groups_of_equal_shape, rows_at_once
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.row_patch import HeldRows, RowDifferences

Tokens = tuple[int, ...]
Grid = tuple[Layers, ...]
"""Log-probability of a prompt's answer in nats: a row for each context, a column for each strength."""


@dataclass(frozen=True)
class HeldPrompt:
    """A query, the context that its patch is made of, and those that the patch is put beside."""

    source: TrialPrompt
    contexts: tuple[Tokens, ...]
    """Each with as many tokens as any other prompt's of the same index and shape has."""


@torch.inference_mode()
def held_patch_grid(
    loaded: LoadedModel, prompts: Sequence[HeldPrompt], alphas: Sequence[float], *, is_random: bool = False
) -> list[Grid]:
    """The grid of each prompt; ``is_random``: a patch of the same norms in random directions instead.

    Raises:
        EngineError: logits that are not finite.
    """
    grids: dict[int, Grid] = {}
    for group in groups_of_equal_shape([one.source for one in prompts]):
        for some in _of_equal_lengths(prompts, group):
            size, left = rows_at_once(loaded, loaded.sites, some), some
            while left:
                run = partial(_run, loaded, prompts, left, alphas, is_random)
                found, size = run_as_fits(run, min(size, len(left)), "prompts")
                grids.update(found)
                left = left[len(found) :]
    return [grids[index] for index in range(len(prompts))]


def _of_equal_lengths(prompts: Sequence[HeldPrompt], group: Sequence[Numbered]) -> list[list[Numbered]]:
    groups: dict[tuple[int, ...], list[Numbered]] = {}
    for index, source in group:
        groups.setdefault(tuple(map(len, prompts[index].contexts)), []).append((index, source))
    return [*groups.values()]


def _run(
    loaded: LoadedModel,
    prompts: Sequence[HeldPrompt],
    rows: Sequence[Numbered],
    alphas: Sequence[float],
    is_random: bool,
    n: int,
) -> dict[int, Grid]:
    indices = [index for index, _ in rows[:n]]
    batch = Batch(loaded, loaded.sites, [source for _, source in rows[:n]])
    held = _fitted(batch, is_random)
    n_contexts = len(prompts[indices[0]].contexts)
    tables = [
        torch.stack([_said(batch, held, contexts, alpha) for alpha in alphas], dim=-1)
        for contexts in ([prompts[index].contexts[k] for index in indices] for k in range(n_contexts))
    ]
    return {index: tuple(layer_values(table[row]) for table in tables) for row, index in enumerate(indices)}


def _fitted(batch: Batch, is_random: bool) -> HeldRows:
    """The patch of each row's query's last token, fitted where no context is."""
    targets = batch.contextual[1].targets(batch.sites)
    at = last_of_rows(batch.n_rows, batch.n_targets, 1, batch.n_forced).flatten()
    z, v = (tensor[:, at.to(tensor.device)] for tensor in (targets.z, targets.v))
    differences = RowDifferences([one.seed for one in batch.prompts] if is_random else None, 1)
    ones = torch.ones(batch.n_rows, dtype=torch.float64)
    held = HeldRows(batch.sites, "both", batch.n_rows, batch.last_query, z, v, differences, strengths=ones)
    rows = [one.ids.plain for one in batch.prompts]
    with attach(batch.sites, held):
        batch.run(rows, [range(len(row)) for row in rows], 1)
    return held


def _said(batch: Batch, held: HeldRows, contexts: Sequence[Tokens], alpha: float) -> Float[Tensor, " rows"]:
    """Log-probability of each row's answer after its context, through the patch."""
    rows = [
        [*replace(one.ids, context=context).full, *one.forced]
        for one, context in zip(batch.prompts, contexts, strict=True)
    ]
    held.strengths = torch.full((batch.n_rows,), alpha, dtype=torch.float64)
    with attach(batch.sites, held) if alpha else nullcontext():
        logits = batch.run(rows, [range(len(row)) for row in rows], 1 + batch.n_forced)
    answers = torch.tensor([one.answer for one in batch.prompts], device=logits.device)
    return logits.log_softmax(-1).gather(-1, answers[..., None])[..., 0].sum(-1)
