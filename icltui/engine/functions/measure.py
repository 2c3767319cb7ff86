"""One block from its training to its curves: with the context, through ΔW, by gradient steps, and its controls.

Enters: a setting. Leaves: :class:`icltui.values.functions.FunctionsRow`. Tests are in float64.
"""

import copy
import time
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from msgspec.structs import replace
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.functions.block import RegressionBlock, make_patches
from icltui.engine.functions.explicit_steps import choose_rate, descend, query_errors
from icltui.engine.functions.regression import Tasks, draw_tasks, least_squares
from icltui.engine.functions.train import Setting, train_block
from icltui.values.functions import FunctionsRow

_CHUNK = 50
"""Tasks whose ΔW after every number of examples are in memory at once."""
_TEST_SEED, _RATE_SEED = 2**20, 2**21
"""Added to the seed: tests and the choice of a learning rate see functions that no training step saw."""
_Curves = dict[str, Tensor]


def measure_functions(setting: Setting, on_progress: ProgressCallback = ignore_progress) -> FunctionsRow:
    """Train a block and measure it; ``on_progress`` may raise to stop."""
    begin = time.perf_counter()
    tests = _draw(setting, setting.n_tasks, _TEST_SEED)
    block, points = train_block(setting, tests, on_progress)
    untrained = RegressionBlock(setting.n_inputs, setting.seed).requires_grad_(False)
    curves = measure_block(block, untrained, tests, _draw(setting, _CHUNK, _RATE_SEED), on_progress)
    return replace(
        curves,
        seed=setting.seed,
        trained_on=setting.trained_on,
        n_steps=setting.n_steps,
        training_steps=tuple(point.step for point in points),
        training_loss=tuple(point.loss for point in points),
        training_loss_patched=tuple(point.loss_patched for point in points),
        seconds=time.perf_counter() - begin,
    )


def _draw(setting: Setting, n_tasks: int, offset: int) -> Tasks:
    chance = torch.Generator().manual_seed(setting.seed + offset)
    return draw_tasks(n_tasks, setting.n_examples, setting.n_inputs, chance)


@torch.no_grad()
def measure_block(
    block: RegressionBlock,
    untrained: RegressionBlock,
    tests: Tasks,
    others: Tasks,
    on_progress: ProgressCallback = ignore_progress,
) -> FunctionsRow:
    """The curves of a block; ``others`` are the functions that the gradient steps' learning rate is chosen on."""
    error32 = _error(block, tests)
    block, untrained = (copy.deepcopy(one).double() for one in (block, untrained))
    tests, others = tests.to(torch.float64), others.to(torch.float64)
    rate = choose_rate(block, others)
    parts = []
    for number, part in enumerate(chunks(tests)):
        on_progress("testing a block", number * _CHUNK, len(tests.y))
        parts.append(_curves(block, untrained, part, rate))
    means: dict[str, Any] = {
        name: tuple(torch.cat([part[name] for part in parts]).mean(0).tolist()) for name in parts[0]
    }
    return FunctionsRow(
        key="",
        n_inputs=tests.x.shape[-1],
        n_tasks=len(tests.y),
        sgd_rate=rate,
        error_float64=_error(block, tests),
        error_float32=error32,
        **means,
    )


def chunks(tasks: Tasks) -> Iterator[Tasks]:
    """The tasks, a few at a time."""
    for begin in range(0, len(tasks.y), _CHUNK):
        at = slice(begin, begin + _CHUNK)
        yield Tasks(tasks.x[at], tasks.y[at], tasks.query[at], tasks.answer[at])


def _curves(block: RegressionBlock, untrained: RegressionBlock, tasks: Tasks, rate: float) -> _Curves:
    """Each curve's values, task by task."""
    lengths = tuple(range(tasks.y.shape[1] + 1))
    tokens = tasks.example_tokens, tasks.query_tokens
    patches = make_patches(block, *tokens, lengths)
    before = make_patches(untrained, *tokens, lengths)
    trained = descend(block, tasks, rate)
    steps, explicit = patches.weight.diff(dim=1), trained.diff(dim=1)
    best = torch.stack([least_squares(tasks, n) for n in lengths], 1)
    answer = tasks.answer[:, None]
    return {
        "loss": (block(*tokens, lengths) - answer).square(),
        "loss_patched": (patches.predict(block) - answer).square(),
        "loss_weights": (patches.predict(block, shifted=False) - answer).square(),
        "loss_sgd": query_errors(block, tasks, trained),
        "loss_least_squares": (best - answer).square(),
        "loss_untrained": (untrained(*tokens, lengths) - answer).square(),
        "step_norm": _norm(steps),
        "step_norm_untrained": _norm(before.weight.diff(dim=1)),
        "sgd_step_norm": _norm(explicit),
        "step_cosine": _cosine(steps, explicit),
        "net_cosine": _cosine(patches.weight, trained - trained[:, :1]),
    }


def _norm(matrices: Float[Tensor, "tasks lengths inner hidden"]) -> Float[Tensor, "tasks lengths"]:
    norms: Tensor = torch.linalg.vector_norm(matrices, dim=(-2, -1))
    return norms


def _cosine(
    a: Float[Tensor, "tasks lengths inner hidden"], b: Float[Tensor, "tasks lengths inner hidden"]
) -> Float[Tensor, "tasks lengths"]:
    return torch.nn.functional.cosine_similarity(a.flatten(2), b.flatten(2), dim=-1)


def _error(block: RegressionBlock, tests: Tasks) -> float:
    """The largest relative error of predictions through ΔW, over the numbers of examples."""
    lengths, found, wanted = tuple(range(tests.y.shape[1] + 1)), [], []
    for tasks in chunks(tests):
        tokens = tasks.example_tokens, tasks.query_tokens
        found.append(make_patches(block, *tokens, lengths).predict(block))
        wanted.append(block(*tokens, lengths))
    error = (torch.cat(found) - torch.cat(wanted)).norm(dim=0) / torch.cat(wanted).norm(dim=0)
    return float(error.max())
