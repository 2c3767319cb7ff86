"""The patch, the packed pass and the texts on a GPU's kernels, in float32 without TensorFloat-32 and in bfloat16."""

from typing import Any

import pytest
import torch

from icltui.api import run_to_result
from icltui.api.messages import Generate, Verify
from icltui.engine.local import LocalEngine
from icltui.engine.measure.forward_pass import forward
from icltui.engine.measure.packing_check import choose_path
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.upcast import is_half
from icltui.engine.prompts.tokenize import Ids
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.gpu.conftest import models

PROMPT = Prompt(
    context="The capital of France is Rome. The capital of Spain is Cairo. ", query="The capital of"
)
ALL = pytest.mark.parametrize("engine", models("float32", "bfloat16"), indirect=True, ids="-".join)
MISS = 1e-3
"""Share of what lies between prefixes by which a packed pass may miss in float32."""
TIES = {torch.float32: 0.9999, torch.bfloat16: 0.9}
"""Ratio of two probabilities from which on rounding may choose either."""


def test_float32_is_multiplied_in_float32() -> None:
    LocalEngine()
    assert torch.get_float32_matmul_precision() == "highest"


@ALL
def test_verify(engine: LocalEngine) -> None:
    """Every layer, the logits, the rank, and bit for bit the model's own logits after the patch is removed."""
    found = run_to_result.verify(engine, Verify(prompt=PROMPT))
    assert engine.loaded is not None
    assert found.undone
    assert found.patched_share is not None
    assert found.allowed is not None
    assert found.patched_share <= found.allowed, found.caveat
    # In half precision what a context does to a model of random weights may drown in rounding.
    assert found.ok or is_half(engine.loaded.model), found.caveat
    assert len(found.layers) == engine.loaded.n_layers
    assert {check.rank for check in found.layers} == {1}


@ALL
def test_packed_against_loop(engine: LocalEngine) -> None:
    """In float32 to a thousandth of what lies between prefixes; in half precision by the product's own check."""
    loaded = engine.loaded
    assert loaded is not None
    assert choose_path(loaded)[0] == "packed"
    if is_half(loaded.model):
        return
    n, q = 40, 3
    tokens = [(37 * k + 11) % 250 for k in range(n + q)]
    plan = Plan(Ids((), tuple(tokens[:n]), tuple(tokens[n:]), tuple(range(n + 1))), early=True)
    with torch.inference_mode():
        packed, loop = ({}, {})
        for path, kept in (("packed", packed), ("loop", loop)):
            for chunk in measure_prefixes(loaded, loaded.sites, plan, path):
                for k, unit in enumerate(chunk.units):
                    assert chunk.logits is not None
                    kept[unit] = chunk.z[k], chunk.v[k], chunk.logits[k]
        assert sorted(packed) == sorted(loop) == list(range(n + 1))
        for part in range(3):
            ours, theirs = (torch.stack([of[unit][part] for unit in sorted(of)]) for of in (packed, loop))
            assert (ours - theirs).norm() <= MISS * (theirs - theirs[:1]).norm()


def lanes(engine: LocalEngine, recipe: Recipe) -> Any:
    request = Generate(prompt=PROMPT, recipe=recipe, lanes=("context", "patched"), n_tokens=8)
    return run_to_result.generate(engine, request)


@ALL
def test_the_text_per_step_is_the_contextual_one(engine: LocalEngine) -> None:
    """Token by token, up to a token that ties with another."""
    made = lanes(engine, Recipe(mode="per-step"))
    first = made.agreement["patched"].first_difference
    if first is None:
        return
    assert engine.loaded is not None
    step, other = (made.lanes[name].steps[first] for name in ("context", "patched"))
    probabilities = {candidate.token.id: candidate.probability for candidate in step.top}
    assert probabilities.get(other.token.id, 0) > TIES[engine.loaded.dtype] * probabilities[step.token.id]


@ALL
def test_a_held_patch_is_exact_on_its_tokens(engine: LocalEngine) -> None:
    """Compiled on nine tokens; where experts have no down projection to carry several shifts, frozen on one."""
    assert engine.loaded is not None
    carries = all(site.down_proj is not None for site in engine.loaded.sites)
    patch = lanes(engine, Recipe(mode="compiled" if carries else "frozen")).patch
    assert patch is not None
    (fitted,) = (test for test in patch.tests if test.what == "fitted tokens")
    assert fitted.kl is not None
    assert fitted.kl_plain is not None
    assert fitted.kl <= (0.2 if is_half(engine.loaded.model) else 1e-4) * fitted.kl_plain


@ALL
def test_the_model_is_bit_for_bit_itself_afterwards(engine: LocalEngine) -> None:
    loaded = engine.loaded
    assert loaded is not None
    tokens = list(range(40, 60))
    with torch.inference_mode():
        before = forward(loaded.model, tokens)
    lanes(engine, Recipe(mode="frozen"))
    with torch.inference_mode():
        assert torch.equal(forward(loaded.model, tokens), before)
