"""A GGUF: the model that comes out is the one that went in, and ordinary; what holds no model is refused."""

import pytest
import torch
from gguf import GGMLQuantizationType as Blocks

from icltui.api.messages import LoadModel
from icltui.engine.models.load import load
from icltui.engine.models.loaded_model import fingerprint
from tests.engine.generators import run_to_end
from tests.engine.gguf_files import make_model, round_model, write_gguf

TOKENS = torch.arange(40)[None] * 5


def events_of(where, **options):
    return run_to_end(load(LoadModel(**{"model": str(where), "device": "cpu"} | options)))


def loaded_from(where, **options):
    return events_of(where, **options)[1]


def logits(model):
    with torch.inference_mode():
        return model(TOKENS).logits


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A llama in blocks of Q8_0."""
    return write_gguf(
        tmp_path_factory.mktemp("llama") / "tiny.Q8_0.gguf", make_model("llama"), "llama", Blocks.Q8_0
    )


@pytest.mark.parametrize("blocks", [Blocks.F32, Blocks.F16, Blocks.Q8_0, Blocks.Q4_1], ids=lambda b: b.name)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gpt2"])
def test_weights_are_those_of_the_file(architecture, blocks, tmp_path):
    written, reference = make_model(architecture), make_model(architecture)
    round_model(reference, architecture, blocks)
    file = write_gguf(tmp_path / "tiny.gguf", written, architecture, blocks)
    loaded = loaded_from(file, dtype="float32")
    assert torch.equal(logits(loaded.model), logits(reference))
    assert fingerprint(loaded.model) == fingerprint(reference)
