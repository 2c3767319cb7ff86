"""Linear regression in context: every curve against plain loops in float64, task by task."""

import math

import numpy as np
import pytest
import torch

from icltui.engine.functions.block import HEADS, WIDTH, RegressionBlock, make_patches
from icltui.engine.functions.explicit_steps import choose_rate, descend, query_errors
from icltui.engine.functions.measure import measure_block, measure_functions
from icltui.engine.functions.regression import draw_tasks, least_squares
from icltui.engine.functions.train import Setting, train_block

N_INPUTS, N_EXAMPLES, N_TASKS = 2, 5, 3
LENGTHS = tuple(range(N_EXAMPLES + 1))


@pytest.fixture(scope="module")
def block():
    return RegressionBlock(N_INPUTS, seed=1).double().requires_grad_(False)


@pytest.fixture(scope="module")
def tasks():
    return draw_tasks(N_TASKS, N_EXAMPLES, N_INPUTS, torch.Generator().manual_seed(5)).to(torch.float64)


def slow_v(block, tasks, task, n):
    """v at the query after n examples: softmax attention head by head, in numpy."""
    weights = {name: p.numpy() for name, p in block.state_dict().items()}
    tokens = [
        *(np.append(tasks.x[task, i], tasks.y[task, i]) for i in range(n)),
        np.append(tasks.query[task], 0),
    ]
    row = np.stack(tokens) @ weights["embed.weight"].T + weights["embed.bias"]
    q, k, v = (row @ weights[f"{name}.weight"].T for name in ("queries", "keys", "values"))
    size, mixed = WIDTH // HEADS, []
    for head in range(HEADS):
        at = slice(head * size, (head + 1) * size)
        scores = np.exp(k[:, at] @ q[-1, at] / math.sqrt(size))
        mixed.append(scores / scores.sum() @ v[:, at])
    return row[-1] + weights["mix.weight"] @ np.concatenate(mixed)


def slow_mlp(block, z, v, weight):
    weights = {name: p.numpy() for name, p in block.state_dict().items()}
    inner = weight @ z + weights["up.bias"]
    inner = np.array([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in inner])
    out = v + weights["down.weight"] @ inner + weights["down.bias"]
    return float((weights["read.weight"] @ out + weights["read.bias"])[0])


def test_the_context_s_prediction_is_the_block_s(block, tasks):
    found = block(tasks.example_tokens, tasks.query_tokens, LENGTHS)
    for task in range(N_TASKS):
        for n in LENGTHS:
            v = slow_v(block, tasks, task, n)
            assert found[task, n].item() == pytest.approx(
                slow_mlp(block, v, v, block.up.weight.numpy()), rel=1e-12
            )


def test_a_dense_patched_matrix_predicts_the_same_without_the_context(block, tasks):
    patches = make_patches(block, tasks.example_tokens, tasks.query_tokens, LENGTHS)
    found = patches.predict(block)
    alone = patches.predict(block, shifted=False)
    w = block.up.weight.numpy()
    for task in range(N_TASKS):
        v = slow_v(block, tasks, task, 0)
        for n in LENGTHS:
            delta = slow_v(block, tasks, task, n) - v
            dense = w + np.outer(w @ delta, v) / (v @ v)
            assert np.allclose(patches.weight[task, n].numpy(), dense - w, rtol=1e-10, atol=1e-13)
            assert found[task, n].item() == pytest.approx(slow_mlp(block, v, v + delta, dense), rel=1e-11)
            assert alone[task, n].item() == pytest.approx(slow_mlp(block, v, v, dense), rel=1e-11)
    assert not torch.allclose(found[:, 1:], alone[:, 1:], rtol=1e-3), "the shift matters"


def test_a_gradient_step_is_that_of_one_example_at_a_time(block, tasks):
    rate = 0.05
    found = descend(block, tasks, rate)
    for task in range(N_TASKS):
        weight = block.up.weight.clone()
        for i in range(N_EXAMPLES):
            assert torch.allclose(found[task, i], weight, rtol=1e-12)
            own = torch.cat([tasks.x[task, i], torch.zeros(1, dtype=torch.float64)])[None]
            v = block.attend(own[:, None], own, (0,))[0, 0]

            def loss(weight, v=v, y=tasks.y[task, i]):
                inner = torch.nn.functional.gelu(weight @ v + block.up.bias)
                return (block.read(v + block.down(inner))[0] - y) ** 2

            weight = weight - rate * torch.func.grad(loss)(weight)
        assert torch.allclose(found[task, -1], weight, rtol=1e-12)
    before = query_errors(block, tasks, found)[:, 0]
    expected = (block(tasks.example_tokens, tasks.query_tokens, (0,))[:, 0] - tasks.answer).square()
    assert torch.allclose(before, expected)


def test_the_chosen_rate_has_the_least_loss(block, tasks):
    rates = (1e-6, 0.02, 1e6)
    losses = {r: query_errors(block, tasks, descend(block, tasks, r))[:, -1].mean().item() for r in rates}
    assert choose_rate(block, tasks, rates) == min(
        rates, key=lambda r: losses[r] if math.isfinite(losses[r]) else 9e9
    )


@pytest.mark.parametrize("n", LENGTHS)
def test_least_squares_is_numpy_s(tasks, n):
    found = least_squares(tasks, n)
    for task in range(N_TASKS):
        w = (
            np.linalg.lstsq(tasks.x[task, :n].numpy(), tasks.y[task, :n].numpy(), rcond=None)[0]
            if n
            else np.zeros(2)
        )
        assert found[task].item() == pytest.approx(float(w @ tasks.query[task].numpy()), abs=1e-9)


def test_the_curves_are_means_over_the_tasks(block, tasks):
    untrained = RegressionBlock(N_INPUTS, seed=2).requires_grad_(False)
    curves = measure_block(block.float(), untrained, tasks.to(torch.float32), tasks)
    block.double()
    patches = make_patches(block, tasks.example_tokens, tasks.query_tokens, LENGTHS)
    steps = [
        np.mean(
            [
                np.linalg.norm((patches.weight[t, i + 1] - patches.weight[t, i]).numpy())
                for t in range(N_TASKS)
            ]
        )
        for i in range(N_EXAMPLES)
    ]
    assert curves.step_norm == pytest.approx(steps, rel=1e-5)
    assert len(curves.loss) == len(curves.loss_sgd) == N_EXAMPLES + 1
    assert curves.loss == pytest.approx(curves.loss_patched, rel=1e-12)
    assert curves.error_float64 < 1e-13
    assert curves.error_float32 < 1e-5
    assert curves.loss_least_squares[-1] < 1e-9


@pytest.mark.soak
def test_a_short_training_learns_and_is_a_function_of_its_seed():
    setting = Setting(n_examples=8, n_steps=100, n_tasks=60)
    first, again = (measure_functions(setting) for _ in range(2))
    assert first.loss == again.loss
    assert first.training_loss[-1] < 0.6 * first.training_loss[0]
    assert first.training_loss == pytest.approx(first.training_loss_patched, rel=1e-4)
    assert first.training_steps[0] == 0
    assert first.training_steps[-1] == 100


def test_the_training_is_stopped_by_its_progress():
    class Stop(Exception):
        pass

    def stop(_stage, done, _total):
        if done == 3:
            raise Stop

    setting = Setting(n_steps=9, n_tasks=10)
    tests = draw_tasks(10, 4, 2, torch.Generator().manual_seed(0))
    with pytest.raises(Stop):
        train_block(setting, tests, stop)


@pytest.mark.soak
@pytest.mark.parametrize("trained_on", ["full", "any"])
def test_the_whole_training_learns_what_the_context_says(trained_on):
    curves = measure_functions(Setting(trained_on=trained_on))
    assert curves.error_float64 < 1e-6
    assert curves.error_float32 < 1e-5
    assert curves.loss[-1] < 0.1 * curves.loss[0]
    assert curves.loss[-1] < 0.1 * curves.loss_untrained[-1]
    assert all(
        best <= found + 1e-9
        for best, found in zip(curves.loss_least_squares[2:], curves.loss[2:], strict=True)
    )
