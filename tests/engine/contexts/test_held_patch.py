"""A patch held in the weights against the trial's, and against the model with its matrices changed for real."""

import pytest
import torch

from icltui.engine.contexts.held_patch import HeldPrompt, held_patch_grid
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.trial import trial
from icltui.values.trial import TrialPatch
from tests.engine.small_models import tiny

A, B = (17, 203, 88), (140, 9)
QUERIES = ((70, 12, 199), (70, 45, 3), (8, 9))
ALPHAS = (0.0, 0.6, 1.0, 1.5)


def prompts(answer=(44, 91)):
    return [
        HeldPrompt(TrialPrompt(Ids((0,), A, query, (0, len(A))), answer, seed=seed), ((), B, B + B))
        for seed, query in enumerate(QUERIES)
    ]


def said(loaded, context, query, answer):
    row = [0, *context, *query]
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([[*row, *answer]])).logits[0].log_softmax(-1)
    return sum(float(logits[len(row) - 1 + k, token]) for k, token in enumerate(answer))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "mixtral", "olmo2"])
@pytest.mark.parametrize("is_random", [False, True])
def test_without_a_context_it_is_the_frozen_patch_of_the_trial(family, is_random):
    loaded = tiny(family)
    asked = [
        TrialPatch(mode="frozen", alpha=alpha, control="random" if is_random else "none") for alpha in ALPHAS
    ]
    grids = held_patch_grid(loaded, prompts(), ALPHAS, is_random=is_random)
    for result in trial(loaded, [one.source for one in prompts()], asked):
        wanted = [score.answer_log_p for score in result.patches]
        assert grids[result.index][0] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("family", ["llama", "mixtral"])
def test_at_strength_0_it_is_the_context_alone_and_at_1_the_patchs_own(family):
    loaded = tiny(family)
    grids = held_patch_grid(loaded, prompts((44,)), ALPHAS)
    for grid, query in zip(grids, QUERIES, strict=True):
        for row, context in zip(grid, ((), B, B + B), strict=True):
            assert row[0] == pytest.approx(said(loaded, context, query, (44,)), abs=1e-9)
        assert grid[0][2] == pytest.approx(said(loaded, A, query, (44,)), abs=1e-9)
        assert abs(grid[1][2] - grid[1][0]) > 1e-4


def test_beside_a_context_it_is_in_the_matrices():
    """gate, up and down of each layer get their rank-1 changes for real, fitted layer by layer by hand."""
    loaded, alpha, query = tiny("llama"), 0.6, QUERIES[0]
    layers = loaded.model.model.layers
    seen = {}

    def keep(name):
        def hook(_module, inputs):
            seen[name] = inputs[0][0, -1].detach().clone()

        return hook

    hooks = [
        module.register_forward_pre_hook(keep((name, k)))
        for k, layer in enumerate(layers)
        for name, module in (
            ("v", layer.post_attention_layernorm),
            ("z", layer.mlp),
            ("g", layer.mlp.down_proj),
        )
    ]
    first = {name: parameter.detach().clone() for name, parameter in loaded.model.named_parameters()}
    try:
        with torch.no_grad():
            loaded.model(torch.tensor([[0, *A, *query]]))
            target, changes = dict(seen), []
            for k, layer in enumerate(layers):
                loaded.model(torch.tensor([[0, *query]]))
                z, dz = seen["z", k], target["z", k] - seen["z", k]
                delta = target["v", k] - seen["v", k]
                for matrix in (layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight):
                    changes.append((matrix, torch.outer(matrix @ dz, z) / z.square().sum()))
                    matrix.add_(changes[-1][1])
                loaded.model(torch.tensor([[0, *query]]))
                g, matrix = seen["g", k], layer.mlp.down_proj.weight
                changes.append((matrix, torch.outer(delta, g) / g.square().sum()))
                matrix.add_(changes[-1][1])
            for matrix, change in changes:
                matrix.add_((alpha - 1) * change)
        wanted = said(loaded, B, query, (44, 91))
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            for name, parameter in loaded.model.named_parameters():
                parameter.copy_(first[name])
    grid = held_patch_grid(loaded, prompts()[:1], (alpha,))[0]
    assert grid[1][0] == pytest.approx(wanted, abs=1e-9)
