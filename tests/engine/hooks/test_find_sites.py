"""Which matrices read z: those that change the MLP when they are changed, and no others."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, JetMoeConfig, Llama4TextConfig

from icltui.engine.hooks.find_sites import find_sites
from icltui.engine.hooks.input_projections import _is_transposed
from icltui.engine.models.loaded_model import wrap_model
from icltui.engine.patch.patch import apply_map
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer

D = 24


def jetmoe():
    return JetMoeConfig(
        vocab_size=300, hidden_size=D, num_hidden_layers=2, num_key_value_heads=2, kv_channels=6, intermediate_size=40,
        num_local_experts=4, num_experts_per_tok=2,
    )  # fmt: skip


def llama4():
    return Llama4TextConfig(
        vocab_size=300, hidden_size=D, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=6,
        intermediate_size=40, intermediate_size_mlp=40, num_local_experts=4, num_experts_per_tok=1,
        max_position_embeddings=64,
    )  # fmt: skip


def make(name: str):
    if name in FAMILIES:
        return make_tiny(name, torch.float32)
    torch.manual_seed(0)
    config = {"jetmoe": jetmoe, "llama4": llama4}[name]()
    return wrap_model(
        AutoModelForCausalLM.from_config(config, experts_implementation="eager"), make_tokenizer(), name
    )


@pytest.mark.parametrize("name", [*FAMILIES, "jetmoe", "llama4"])
def test_changing_the_readers_is_the_map(name):
    """W + (W δz) zᵀ/‖z‖², written into every projection for real, must do what the map of their input does."""
    site = make(name).sites[1]
    generator = torch.Generator().manual_seed(0)
    x, z, dz = (torch.randn(shape, generator=generator) for shape in ((5, D), (D,), (D,)))
    with torch.inference_mode():
        mapped = out(site.mlp, apply_map(x, z, dz))
        assert (mapped - out(site.mlp, x)).norm() > 0.05 * mapped.norm()
        for projection in site.input_projections:
            parameter = getattr(projection.module, projection.parameter)
            weight = (
                parameter.data.mT if projection.transposed else parameter.data
            )  # (…, inner, hidden), a view
            weight += (weight @ dz)[..., None] * z / (z @ z)
        changed = out(site.mlp, x)
    assert (changed - mapped).norm() < 1e-4 * mapped.norm()


def out(mlp: nn.Module, x: torch.Tensor) -> torch.Tensor:
    result = mlp(x[None])
    return result[0] if isinstance(result, tuple) else result


def test_experts_whose_orientation_cannot_be_told_are_refused():
    module = nn.Module()
    module.gate_up_proj = nn.Parameter(torch.zeros(4, D, D))
    with pytest.raises(LookupError, match="does not tell"):
        _is_transposed(module, "gate_up_proj", D)


class Packed(nn.Module):
    """A matrix in a form of its own, as quantised modules hold it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("qweight", linear.weight.detach().half())

    def forward(self, x):
        return x @ self.qweight.to(x.dtype).T


def test_a_matrix_that_does_not_show_itself_is_not_passed_over():
    loaded = make_tiny("llama", torch.float32)
    mlp = loaded.model.model.layers[1].mlp
    mlp.up_proj = Packed(mlp.up_proj)
    sites, refused = find_sites(loaded.model)
    assert [site.layer for site in sites] == [0, 2]
    assert [(r.layer, r.reason) for r in refused] == [
        (1, "its Packed reads the MLP's input but does not show its matrix")
    ]
