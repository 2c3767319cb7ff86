"""Which path a model gets, and that the check at load notices a packed pass that is wrong."""

from functools import cache

import pytest
import torch
from transformers import AutoModelForCausalLM

from icltui.engine.measure import packing_check, run_prefixes
from icltui.engine.measure.packing_check import STRICT, choose_path
from icltui.engine.models.loaded_model import wrap_model
from tests.engine.small_models import FAMILIES, make_tiny, make_tokenizer, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_here_packs(family):
    assert choose_path(tiny(family)) == ("packed", "")


def test_every_pass_is_told_and_the_packed_ones_are_in_two_chunks():
    told = []
    assert choose_path(tiny("llama"), lambda *progress: told.append(progress)) == ("packed", "")
    assert told == [("trying the packed pass on it", done, 8) for done in range(8)]


def test_a_callback_that_raises_stops_and_leaves_nothing_behind():
    class Enough(Exception):
        pass

    def stop(_stage, done, _total):
        if done == 2:
            raise Enough

    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.sliding_window = 64
    with pytest.raises(Enough):
        choose_path(loaded, stop)
    assert not loaded.model._forward_pre_hooks
    assert loaded.model.config.sliding_window == 64


HONEST = run_prefixes.packed_masks


def by_tokens(off):
    """Each copy sees so many context tokens more."""
    return lambda model, gaps, *sizes: HONEST(
        model, [(min(max(begin + off, 0), end), end) for begin, end in gaps], *sizes
    )


def by_window(off):
    """Sliding attention reaches so many tokens further back."""

    def masks(model, *given):
        config = model.config.get_text_config(decoder=True)
        window = config.sliding_window
        config.sliding_window = window + off
        try:
            return HONEST(model, *given)
        finally:
            config.sliding_window = window

    return masks


def among_copies(model, gaps, n_prefix, n_context, n_cached, q):
    """Each copy sees the last token of the copy before."""
    mask = HONEST(model, gaps, n_prefix, n_context, n_cached, q)
    for one in mask.values() if isinstance(mask, dict) else [mask]:
        for k in range(1, len(gaps)):
            one[..., k * q : (k + 1) * q, n_prefix + n_cached + k * q - 1] = 0
    return mask


WRONG = {
    "one token less": by_tokens(-1),
    "one token more": by_tokens(1),
    "one unit less": by_tokens(-3),
    "one unit more": by_tokens(3),
    "window shorter by one": by_window(-1),
    "window longer by one": by_window(1),
    "the copy before": among_copies,
}


@cache
def large(kind, dtype):
    """Random models: 32 layers, half of them with a sliding window; 768 wide; and one that the context moves so little
    that in half precision a right mask misses about as much as one wrong by a token."""
    torch.manual_seed(0)
    family, size, n_layers = {
        "deep": ("gemma3", 64, 32),
        "wide": ("llama", 768, 2),
        "faint": ("llama", 64, 12),
    }[kind]
    config = FAMILIES[family].config()
    config.update({"hidden_size": size, "intermediate_size": 2 * size, "num_hidden_layers": n_layers})
    if family == "gemma3":
        config.layer_types = ["sliding_attention", "full_attention"] * (n_layers // 2)
    model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if kind == "faint" and parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.0025 if "o_proj" in name else 0.25)
    return wrap_model(model.to(dtype), make_tokenizer(), family)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("wide", torch.bfloat16), ("faint", torch.float16)),
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                ("deep", torch.bfloat16),
                ("deep", torch.float16),
                ("wide", torch.float16),
                ("faint", torch.bfloat16),
            )
        ),
    ],
)
def test_rounding_is_not_taken_for_a_wrong_mask_nor_hides_one(kind, dtype, monkeypatch):
    """Right masks use a hundredth of what is allowed at the most, wrong ones three times as much at the least."""
    loaded = large(kind, dtype)
    assert choose_path(loaded) == ("packed", "")
    wrong = {name: masks for name, masks in WRONG.items() if kind == "deep" or "window" not in name}
    reasons = {}
    for factor, kinds in ((0.01, {"right": HONEST}), (3, wrong)):
        monkeypatch.setattr(packing_check, "STRICT", factor * STRICT)
        for name, masks in kinds.items():
            monkeypatch.setattr(run_prefixes, "packed_masks", masks)
            reasons[name] = choose_path(loaded)[1]
    assert not reasons.pop("right")
    assert all("packed prefixes miss single ones by" in reason for reason in reasons.values()), reasons


def test_quantized_weights_are_allowed_what_right_ways_miss_and_no_more(monkeypatch):
    """Layers that round as 8-bit kernels do, in float32 too: by the largest number of all that they are handed."""

    class Rounding(torch.nn.Linear):
        def forward(self, x):
            step = x.abs().max() / 127
            return super().forward((x / step).round() * step)

    loaded = make_tiny("llama", torch.bfloat16)
    for layer in loaded.model.model.layers:
        layer.mlp.up_proj.__class__ = layer.self_attn.v_proj.__class__ = Rounding
    monkeypatch.setattr(type(loaded.model), "is_quantized", False, raising=False)
    assert choose_path(loaded)[0] == "loop"
    monkeypatch.setattr(type(loaded.model), "is_quantized", True, raising=False)
    assert choose_path(loaded) == ("packed", "")
    monkeypatch.setattr(run_prefixes, "packed_masks", by_tokens(-3))
    assert choose_path(loaded)[0] == "loop"


def test_loop_where_layers_are_of_another_type():
    loaded = tiny("llama")
    config = loaded.model.config
    config.layer_types = ["linear_attention"] * 3
    try:
        chosen, reason = choose_path(loaded)
    finally:
        del config.layer_types
    assert chosen == "loop"
    assert "layers of type linear_attention cannot be packed" in reason


def test_loop_where_rotation_depends_on_the_longest_position():
    config = tiny("llama").model.config
    before = config.rope_parameters
    config.rope_parameters = before | {"rope_type": "longrope"}
    try:
        assert choose_path(tiny("llama"))[0] == "loop"
    finally:
        config.rope_parameters = before


@pytest.mark.parametrize("window", [3, 64])
def test_loop_where_the_model_does_not_keep_to_the_window_of_its_config(window):
    """The window may be longer than the few tokens of the check."""
    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.sliding_window = window
    assert choose_path(loaded)[0] == "loop"
    assert loaded.model.config.sliding_window == window


def test_loop_where_the_config_has_a_reach_of_another_name():
    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.window_size = 256
    chosen, reason = choose_path(loaded)
    assert chosen == "loop"
    assert "'window_size'" in reason
