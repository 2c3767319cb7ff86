"""Constants of old checkpoints stay out; whatever could have been learned does not."""

import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from icltui.api.messages import LoadModel
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.load import load
from icltui.engine.models.unexpected_keys import is_constant
from icltui.values.errors import ModelError
from tests.engine.generators import run_to_end
from tests.engine.small_models import make_tokenizer

N = 16
TRIANGLE = torch.ones(1, 1, N, N).tril()
WAVES = torch.outer(torch.arange(N), torch.tensor([1.0, 0.1]))
CONSTANTS = {
    "bias": TRIANGLE,
    "causal_mask": TRIANGLE.bool(),
    "mask": TRIANGLE[0, 0].to(torch.uint8),
    "additive_mask": torch.full((N, N), -torch.inf).triu(1),
    "masked_bias": torch.tensor(-1e9),
    "mask_value": torch.tensor([-1e4]),
    "rotary_emb.inv_freq": 10_000.0 ** -torch.arange(0, 1, 0.25),
    "rotary_emb.cos_cached": WAVES.cos()[None, None],
    "rotary_emb.sin_cached": WAVES.sin()[None, None].half(),
    "embed_positions": torch.cat([WAVES.sin(), WAVES.cos()], dim=-1),
    "position_ids": torch.arange(N)[None],
}
"""What versions before mid-2023 saved in each attention, and what code of one's own may save."""
torch.manual_seed(0)
LEARNED = {
    "bias": torch.randn(24),
    "mask.bias": torch.randn(1, 1, N, N),
    "causal_mask": torch.randn(1, 1, N, N).tril(),
    "gates.bias": torch.ones(1, 4, N, N).tril(),
    "masked_bias": torch.tensor(-1.5),
    "k_scale": torch.tensor(0.02),
    "rotary_emb.inv_freq": torch.rand(4) + torch.tensor([0.0, 1, 0, 1]),
    "rotary_emb.cos_cached": torch.randn(N, 4),
    "single_gate": torch.cat([torch.zeros(1, 4), torch.randn(3, 4)]),
    "position_ids": torch.randint(9, (1, N)),
    "c_extra.weight": torch.eye(24),
}
SMALL = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 0}
GPT = {**SMALL, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": N}
NEO = {"hidden_size": 24, "max_position_embeddings": N, "intermediate_size": 48}
FAMILIES = {
    "gpt2": (transformers.GPT2Config(**GPT), "transformer.h.1.attn"),
    "gpt_bigcode": (transformers.GPTBigCodeConfig(**GPT), "transformer.h.1.attn"),
    "gptj": (transformers.GPTJConfig(**GPT, rotary_dim=4), "transformer.h.1.attn"),
    "codegen": (transformers.CodeGenConfig(**GPT, rotary_dim=4), "transformer.h.1.attn"),
    "gpt_neo": (
        transformers.GPTNeoConfig(
            **SMALL,
            **NEO,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=8,
        ),
        "transformer.h.1.attn.attention",
    ),
    "gpt_neox": (
        transformers.GPTNeoXConfig(**SMALL, **NEO, num_hidden_layers=2, num_attention_heads=4),
        "gpt_neox.layers.1.attention",
    ),
    "llama": (
        transformers.LlamaConfig(**SMALL, **NEO, num_hidden_layers=2, num_attention_heads=4),
        "model.layers.1.self_attn",
    ),
}


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("dtype", [None, torch.float16, torch.bfloat16])
def test_constants_are_told_by_what_they_hold(name, dtype):
    tensor = CONSTANTS[name]
    cast = tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
    assert is_constant(f"h.0.attn.{name}", cast)


@pytest.mark.parametrize("name", LEARNED)
def test_what_may_be_learned_is_none_whatever_its_name(name):
    assert not is_constant(f"h.0.attn.{name}", LEARNED[name])


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request, tmp_path_factory):
    """A folder, the place in its last block where constants stood, and its fingerprint."""
    config, place = FAMILIES[request.param]
    path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.save_pretrained(path)
    make_tokenizer().save_pretrained(path)
    return path, place, fingerprint(model)


def with_more(saved, tmp_path, more, *, prefix="", pickled=False):
    """A copy of the folder whose weights hold ``more`` too."""
    path, place, _ = saved
    copy = shutil.copytree(path, tmp_path / "copy", dirs_exist_ok=True)
    weights = load_file(path / "model.safetensors")
    weights |= {f"{place}.{name}": tensor.contiguous() for name, tensor in more.items()}
    weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    if pickled:
        (copy / "model.safetensors").unlink()
        torch.save(weights, copy / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    else:
        save_file(weights, copy / "model.safetensors", {"format": "pt"})
    request = LoadModel(model=str(copy), device="cpu", dtype="float32", allow_pickle=pickled)
    return run_to_end(load(request))[1]


def test_an_old_checkpoint_is_the_same_model(saved, tmp_path):
    before = saved[2]
    old = {"bias": TRIANGLE, "masked_bias": CONSTANTS["masked_bias"], "causal_mask": TRIANGLE.bool()}
    old |= {f"rotary_emb.{name}": CONSTANTS[f"rotary_emb.{name}"] for name in ("inv_freq", "sin_cached")}
    loaded = with_more(saved, tmp_path, old | {"position_ids": CONSTANTS["position_ids"]})
    assert fingerprint(loaded.model) == before


def test_so_is_a_pickle_of_the_body_alone(saved, tmp_path):
    path, place, before = saved
    is_tied = "lm_head.weight" not in load_file(path / "model.safetensors")
    prefix = "transformer." if is_tied and place.startswith("transformer.") else ""
    old = {"bias": TRIANGLE.bool(), "masked_bias": CONSTANTS["masked_bias"]}
    assert fingerprint(with_more(saved, tmp_path, old, prefix=prefix, pickled=True).model) == before


def test_weights_without_a_place_are_refused_beside_them(saved, tmp_path):
    extra = {"c_extra.weight": LEARNED["c_extra.weight"], "own_bias": LEARNED["masked_bias"]}
    extra |= {"rotary.cos_cached": LEARNED["rotary_emb.cos_cached"]}
    with pytest.raises(
        ModelError, match=rf"configuration: {saved[1]}.c_extra.weight has no place, and 2 more$"
    ):
        with_more(saved, tmp_path, {"causal_mask": TRIANGLE, **extra})
