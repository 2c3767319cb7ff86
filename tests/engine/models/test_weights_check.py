"""Weights that do not fit their configuration, and those that may be left out."""

import pytest
import torch

from icltui.engine.models.weights_check import check_weights
from icltui.values.errors import ModelError
from tests.engine.small_models import tiny


def test_weights_of_another_tower_may_stay_out():
    model = tiny("llama", torch.float32).model

    def check(key):
        found = {"missing_keys": [], "mismatched_keys": [], "unexpected_keys": [key]}
        check_weights("m", found, model, list)

    check("vision_tower.encoder.layers_of_it.3.weight")
    check("visual.blocks.3.weight")
    for key in ("model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"):
        with pytest.raises(ModelError, match="has no place"):
            check(key)
