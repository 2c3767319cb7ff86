"""A model in half precision computes in float32 for a while: as if it had been loaded so, and nothing of it stays."""

import pytest
import torch

from icltui.engine.run import forward
from icltui.engine.upcast import can_compute_in_float32, computing_dtype, computing_in_float32
from icltui.errors import ForwardError
from tests.engine.models import FAMILIES, make_tiny, tiny

IDS = [0, 5, 17, 3, 200, 44]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_logits_are_bit_for_bit_those_of_the_model_in_float32(family, dtype):
    half, wide = tiny(family, dtype).model, make_tiny(family, dtype).model.float()
    with computing_in_float32(half):
        assert torch.equal(forward(half, IDS), forward(wide, IDS))
    assert not torch.equal(forward(half, IDS), forward(wide, IDS))


@torch.inference_mode()
def test_the_same_tensors_are_in_their_places_afterwards_even_where_the_model_fails():
    model = make_tiny("gpt2", torch.bfloat16).model
    before = {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    logits = forward(model, IDS)
    with computing_in_float32(model):
        assert computing_dtype(model) == torch.float32
        with pytest.raises(ForwardError):
            forward(model, [10**6])
    assert {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()} == before
    assert computing_dtype(model) == torch.bfloat16
    assert torch.equal(forward(model, IDS), logits)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


@torch.inference_mode()
def test_no_more_than_one_module_is_wide_at_a_time():
    model = make_tiny("llama", torch.bfloat16).model
    wide = []

    def count(*_):
        wide.append(sum(p.dtype == torch.float32 for p in model.parameters()))

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(count)
    with computing_in_float32(model):
        forward(model, IDS)
    assert max(wide) == 1


def test_weights_that_are_elsewhere_or_wide_are_left_alone():
    assert not can_compute_in_float32(tiny("llama", torch.float32).model)
    assert can_compute_in_float32(tiny("llama", torch.bfloat16).model)
    offloaded = make_tiny("llama", torch.bfloat16).model
    offloaded.model.layers[1].mlp.up_proj.to("meta")
    assert not can_compute_in_float32(offloaded)
