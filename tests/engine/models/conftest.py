"""A tiny model, in memory and saved."""

import pytest
import torch

from tests.engine.small_models import make_tiny


@pytest.fixture(scope="module")
def model():
    return make_tiny("llama", torch.float32).model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("llama")
    model.save_pretrained(path)
    return path
