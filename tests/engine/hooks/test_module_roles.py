"""Modules of a layer by the paths that a user gives."""

import pytest
import torch

from icltui.engine.hooks.find_sites import find_sites
from icltui.values.errors import BadInput
from tests.engine.small_models import make_tiny, tiny


def test_a_place_given_by_hand_is_taken():
    loaded = make_tiny("llama", torch.float32)
    site_paths = {"mlp": "model.layers.{layer}.mlp", "norm": "model.layers.{layer}.post_attention_layernorm"}
    sites, _ = find_sites(loaded.model, site_paths)
    assert [site.mlp for site in sites] == [block.mlp for block in loaded.model.model.layers]


@pytest.mark.parametrize(
    ("site_paths", "words"),
    [
        ({"mlp": "model.layers.{layer}.moe"}, "site mlp='model.layers.{layer}.moe': this model has no such module"),
        ({"head": "lm_head"}, "site 'head' not known: use mlp, norm, down, block"),
    ],
)  # fmt: skip
def test_a_place_that_is_not_there_is_bad_input(site_paths, words):
    with pytest.raises(BadInput, match=words.replace("(", r"\(").replace("{", r"\{")):
        find_sites(tiny("llama").model, site_paths)
