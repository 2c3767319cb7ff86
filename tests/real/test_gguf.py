"""The file's numbers are the model's: each tensor unpacked by the gguf package, each logit by transformers alone."""

import pytest
import torch
from gguf import GGUFReader, dequantize
from transformers import AutoModelForCausalLM

pytestmark = pytest.mark.real
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
HEADS = {"attn_q": 9, "attn_k": 3}


def named(name):
    """The parameter that holds the tensor of a GGUF."""
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, ending = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{ending}"


def test_every_weight_is_the_file_s_unpacked(gguf, engine):
    parameters = dict(engine.loaded.model.named_parameters())
    seen = set()
    for tensor in GGUFReader(gguf).tensors:
        wanted = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        part = tensor.name.split(".")[-2]
        if part in HEADS:  # llama.cpp interleaves the halves that rotate together
            rows, columns = wanted.shape
            wanted = (
                wanted.view(HEADS[part], rows // HEADS[part] // 2, 2, columns)
                .transpose(1, 2)
                .reshape(rows, columns)
            )
        assert torch.equal(parameters[named(tensor.name)], wanted), tensor.name
        seen.add(named(tensor.name))
    assert seen == set(parameters)


@torch.no_grad()
def test_the_logits_are_those_of_transformers_own_reading(gguf, engine):
    theirs = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    row = torch.tensor([engine.loaded.tokenizer("The capital of France is").input_ids])
    ours = engine.loaded.model(row).logits
    assert float((theirs(row).logits - ours).abs().max()) <= 1e-5 * float(ours.abs().max())


def test_text_comes_back_from_its_tokens(engine):
    text = "The captain ordered tea at 7:45.\n\ndef f(x):\n\treturn 'é' * 312  # 日本\n"
    tokenizer = engine.loaded.tokenizer
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert tokenizer.chat_template
