"""The embedded model as a user holds it."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from icltui.engine.models.checkpoint import MODEL_DIR


@pytest.fixture
def held() -> tuple[Any, Any]:
    """A model and its tokenizer, as transformers loads them."""
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(MODEL_DIR)
