"""The block trained to answer queries from their examples, by gradient, from nothing but a seed.

Enters: a :class:`Setting`. Leaves: the trained block, and its test loss on the way with the context and through ΔW.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.functions.block import RegressionBlock, make_patches
from icltui.engine.functions.regression import Tasks, draw_tasks
from icltui.values.functions import TrainedOn

BATCH, RATE, N_POINTS = 256, 4e-3, 21
LENGTHS_PER_STEP = 8
"""Context lengths that one step of a training on any length asks after."""


@dataclass(frozen=True)
class Setting:
    """What is learned, and how."""

    n_inputs: int = 2
    n_examples: int = 50
    trained_on: TrainedOn = "full"
    n_steps: int = 800
    n_tasks: int = 400
    """Fresh functions that everything is tested on."""
    seed: int = 0


class TrainingPoint(NamedTuple):
    """The test loss after so many steps, with all examples."""

    step: int
    loss: float
    """With the context."""
    loss_patched: float
    """Without it, through W + ΔW and Δb."""


def train_block(
    setting: Setting, tests: Tasks, on_progress: ProgressCallback = ignore_progress
) -> tuple[RegressionBlock, list[TrainingPoint]]:
    """The trained block; ``on_progress`` is called before each step and may raise to stop."""
    points: list[TrainingPoint] = []
    block = RegressionBlock(setting.n_inputs, setting.seed)
    chance = torch.Generator().manual_seed(setting.seed)
    tested = {round(k * setting.n_steps / (N_POINTS - 1)) for k in range(N_POINTS)}
    with torch.inference_mode(False), torch.enable_grad():
        optimizer = torch.optim.Adam(block.parameters(), lr=RATE)
        for step in range(setting.n_steps + 1):
            if step in tested:
                points.append(_point(block, tests, step))
            if step == setting.n_steps:
                break
            on_progress(f"training a block, seed {setting.seed}", step, setting.n_steps)
            optimizer.param_groups[0]["lr"] = RATE * _share(step, setting.n_steps)
            optimizer.zero_grad()
            _loss(block, setting, chance).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return block.requires_grad_(False), points


def _share(step: int, n_steps: int) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / n_steps))


def _loss(block: RegressionBlock, setting: Setting, chance: torch.Generator) -> Tensor:
    """Mean squared error on a fresh batch."""
    tasks = draw_tasks(BATCH, setting.n_examples, setting.n_inputs, chance)
    lengths: tuple[int, ...] = (setting.n_examples,)
    if setting.trained_on == "any":
        drawn = torch.randint(setting.n_examples + 1, (LENGTHS_PER_STEP,), generator=chance)
        lengths = tuple(drawn.tolist())
    predicted = block(tasks.example_tokens, tasks.query_tokens, lengths)
    loss: Tensor = (predicted - tasks.answer[:, None]).square().mean()
    return loss


@torch.no_grad()
def _point(block: RegressionBlock, tests: Tasks, step: int) -> TrainingPoint:
    lengths = (tests.x.shape[1],)
    tokens = tests.example_tokens, tests.query_tokens
    contextual = block(*tokens, lengths)
    patched = make_patches(block, *tokens, lengths).predict(block)
    losses = [(p[:, 0] - tests.answer).square().mean().item() for p in (contextual, patched)]
    return TrainingPoint(step, *losses)
