"""How often the host waits for a device while prefixes are measured: as often for many layers as for few."""

import pytest
import torch

from icltui.engine.measure.measure import Measurer
from icltui.engine.measure.packing_check import sample_ids
from icltui.engine.measure.predictions import Vocabulary
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.zoo.tiny_model import build
from tests.engine.small_models import make_tokenizer
from tests.ghost.device import GhostTensor
from tests.ghost.traffic import Traffic, watched

LAYERS = 4


def on_ghost(family: str) -> LoadedModel:
    return wrap_model(build(family).to("ghost:0"), make_tokenizer(), family)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
@torch.inference_mode()
def test_nothing_is_read_inside_a_chunk(family):
    """The pass over the context and the chunk's own each ask once whether their logits are numbers."""
    loaded = on_ghost(family)
    chunks = measure_prefixes(loaded, loaded.sites, Plan(sample_ids(loaded, 8, 3), early=False), "packed")
    with watched() as traffic:
        (chunk,) = chunks
    assert isinstance(chunk.z, GhostTensor)
    assert sum(traffic.reads.values()) <= 2, str(traffic)
    assert sum(traffic.uploads.values()) <= 8, str(traffic)


@torch.inference_mode()
def test_a_layer_is_read_once_for_each_chunk():
    """The full context's copy comes alone, the rest after it, and the first unit's ‖z‖ is read by itself."""
    loaded = on_ghost("llama")

    def traffic_of(layers: int) -> Traffic:
        sites, plan = loaded.sites[:layers], Plan(sample_ids(loaded, 8, 3), early=False)
        with watched() as traffic:
            for _ in Measurer(sites, plan, Vocabulary(loaded.tokenizer)).measure(
                measure_prefixes(loaded, sites, plan, "packed")
            ):
                pass
        return traffic

    traffic_of(LAYERS)  # what is remembered of the weights is read once
    one, all_ = traffic_of(1), traffic_of(LAYERS)
    assert sum(all_.reads.values()) - sum(one.reads.values()) <= 3 * (LAYERS - 1), str(all_)
    assert sum(all_.uploads.values()) == sum(one.uploads.values()), str(all_)
    assert sum(one.reads.values()) <= 15, str(one)
