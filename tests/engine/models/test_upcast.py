"""A model in half precision computes in float32 for a while: as if it had been loaded so, and nothing of it stays."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from icltui.engine.measure.forward_pass import forward
from icltui.engine.models import upcast
from icltui.engine.models.upcast import can_compute_in_float32, computing_dtype, computing_in_float32
from icltui.values.errors import ForwardError
from icltui.zoo.tiny_model import build
from tests.engine.small_models import FAMILIES, make_tiny, tiny

DTYPES = torch.bfloat16, torch.float32
IDS = [0, 5, 17, 3, 20, 44]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_logits_are_bit_for_bit_those_of_the_model_in_float32(family, dtype):
    half, wide = tiny(family, dtype).model, make_tiny(family, torch.float32).model
    wide.load_state_dict(half.state_dict())
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
def test_no_more_than_one_layer_is_wide_at_a_time():
    model = make_tiny("llama", torch.bfloat16).model
    wide = set()

    def look(*_):
        wide.add(frozenset(name for name, p in model.named_parameters() if p.dtype == torch.float32))

    for module in model.modules():
        module.register_forward_hook(look)
    with computing_in_float32(model):
        forward(model, IDS)
    layers = [{name.split(".")[2] for name in names if ".layers." in name} for names in wide]
    assert {*map(len, layers)} == {0, 1}
    assert {"0", "1", "2"} == set().union(*layers)


@pytest.mark.parametrize(
    "member", ["dbrx", "deepseek_v32", "granitemoehybrid", "lfm2", "qwen3_5_text", "zamba", "zaya"]
)
@torch.inference_mode()
def test_parts_that_use_each_others_weights_or_go_by_their_type_are_in_float32_too(member):
    half, wide = build(member, torch.bfloat16), build(member, torch.float32)
    wide.load_state_dict(half.state_dict())
    with computing_in_float32(half):
        assert torch.equal(forward(half, IDS), forward(wide, IDS))


class Holder(torch.nn.Module):
    """A layer that is not called."""

    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(4, 8), torch.nn.Linear(8, 4)


class Stacks(torch.nn.Module):
    """Layers that are not called, in lists in lists, and in a row that is called as one."""

    def __init__(self):
        super().__init__()
        self.held = torch.nn.ModuleList(torch.nn.ModuleList([Holder(), Holder()]) for _ in range(2))
        self.row = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(6)))

    def forward(self, x):
        for layers in self.held:
            for layer in layers:
                x = x + layer.down(layer.up(x))
        return self.row(x)


@torch.inference_mode()
def test_layers_are_in_float32_however_they_are_kept_and_one_at_a_time():
    torch.manual_seed(0)
    half, wide = Stacks().to(torch.bfloat16), Stacks()
    wide.load_state_dict(half.state_dict())
    most = []
    for module in half.modules():
        module.register_forward_hook(
            lambda *_: most.append(sum(p.dtype == torch.float32 for p in half.parameters()))
        )
    x = torch.randn(3, 4)
    with computing_in_float32(half):
        assert torch.equal(half(x), wide(x))
    assert max(most) == 2


@pytest.mark.parametrize("family", ["llama", "gemma3", "ctrl", "xglm"])
@torch.inference_mode()
def test_logits_are_those_of_the_checkpoint_loaded_in_float32(family, tmp_path):
    """With the tables and factors that a model makes by itself, which loading in half precision rounds."""
    made = make_tiny(family, torch.bfloat16).model if family in FAMILIES else build(family, torch.bfloat16)
    made.save_pretrained(tmp_path)
    half, wide = (AutoModelForCausalLM.from_pretrained(tmp_path, dtype=t).eval() for t in DTYPES)
    with computing_in_float32(half):
        assert torch.equal(forward(half, IDS), forward(wide, IDS))


def test_weights_that_are_elsewhere_or_wide_are_left_alone():
    assert not can_compute_in_float32(tiny("llama", torch.float32).model)
    assert can_compute_in_float32(tiny("llama", torch.bfloat16).model)
    offloaded = make_tiny("llama", torch.bfloat16).model
    offloaded.model.layers[1].mlp.up_proj.to("meta")
    assert not can_compute_in_float32(offloaded)


@pytest.mark.parametrize(("most", "n_made"), [(upcast.MOST_KEPT, 1), (0, 3)])
@torch.inference_mode()
def test_copies_are_made_once_for_all_passes_where_there_is_room_for_them(monkeypatch, most, n_made):
    """And are gone afterwards."""
    monkeypatch.setattr(upcast, "MOST_KEPT", most)
    half, wide = (make_tiny("llama", dtype).model for dtype in DTYPES)
    wide.load_state_dict(half.state_dict())
    head, made = half.lm_head.weight, []

    def widening(tensor):
        made.append(tensor)
        return tensor.to(torch.float32)

    monkeypatch.setattr(torch.Tensor, "float", widening)
    wanted = wide(torch.tensor([IDS])).logits
    with computing_in_float32(half):
        assert all(torch.equal(half(torch.tensor([IDS])).logits, wanted) for _ in range(3))
    assert sum(tensor is head for tensor in made) == n_made
    assert half.lm_head.weight is head


@pytest.mark.parametrize(("n_free", "keeps"), [(4, True), (3.9, False)])
def test_copies_are_kept_where_they_take_a_quarter_of_the_free_memory_at_most(monkeypatch, n_free, keeps):
    model = tiny("llama", torch.bfloat16).model
    n_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    monkeypatch.setattr(upcast, "free_bytes", lambda _: n_free * n_bytes)
    assert upcast._can_keep(model) is keeps
