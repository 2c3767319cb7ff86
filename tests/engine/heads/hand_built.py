"""A two-layer GPT-2 whose weights are written by hand, so that its one head of each layer is known.

Head 0.0 attends to the token before and copies it beside the token at its own position; head 1.0 looks for a position
where its own token is so noted, which is the one after that token's earlier occurrence: an induction head.
"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from tests.engine.small_models import make_tokenizer

V, P = 257, 64
TOKEN, POSITION, NOTE = slice(0, V), slice(V, V + P), slice(V + P, 2 * V + P)
D = 2 * V + P
SHARP = 20.0
"""How much more a match weighs than anything else."""


@torch.no_grad()
def hand_built() -> LoadedModel:
    config = GPT2Config(vocab_size=V, n_positions=P, n_embd=D, n_layer=2, n_head=1, n_inner=4)
    model = GPT2LMHeadModel(config)
    for parameter in model.parameters():
        parameter.zero_()
    body = model.transformer
    for norm in (body.ln_f, *(norm for block in body.h for norm in (block.ln_1, block.ln_2))):
        norm.weight.fill_(1.0)
    body.wte.weight[:, TOKEN] = torch.eye(V)
    body.wpe.weight[:, POSITION] = torch.eye(P)
    read, match = body.h[0].attn, body.h[1].attn
    # c_attn is (in, 3 D): queries, keys, values.
    read.c_attn.weight[POSITION, :D][1:, POSITION] = SHARP * torch.eye(P)[:-1]  # position i asks for i − 1
    read.c_attn.weight[POSITION, D : 2 * D][:, POSITION] = torch.eye(P)
    read.c_attn.weight[TOKEN, 2 * D :][:, NOTE] = torch.eye(V)
    match.c_attn.weight[TOKEN, :D][:, TOKEN] = SHARP * torch.eye(V)  # a token asks for a note of itself
    match.c_attn.weight[NOTE, D : 2 * D][:, TOKEN] = torch.eye(V)
    match.c_attn.weight[TOKEN, 2 * D :][:, TOKEN] = torch.eye(V)
    for attention in (read, match):
        attention.c_proj.weight.copy_(0.1 * torch.eye(D))
    for block in body.h:  # the MLP is there and does nothing
        block.mlp.c_fc.weight[0, 0] = 1e-3
    return wrap_model(model, make_tokenizer(), "hand-built")
