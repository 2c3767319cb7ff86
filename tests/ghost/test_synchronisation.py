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


@pytest.mark.parametrize(("dynamics", "most"), [("grow", 14), ("shrink", 24), ("drop", 24)])
@torch.inference_mode()
def test_more_layers_are_read_no_more_often(dynamics, most):
    """The rows of all layers are read at once: 2 or 3 passes, each with one read for them and one for its logits."""
    loaded = on_ghost("llama")

    def traffic_of(layers: int) -> Traffic:
        sites, plan = loaded.sites[:layers], Plan(sample_ids(loaded, 8, 3), dynamics, early=False)
        with watched() as traffic:
            for _ in Measurer(sites, plan, Vocabulary(loaded.tokenizer)).measure(
                measure_prefixes(loaded, sites, plan, "packed")
            ):
                pass
        return traffic

    traffic_of(LAYERS)  # what is remembered of the weights is read once
    one, all_ = traffic_of(1), traffic_of(LAYERS)
    assert all_.reads == one.reads, str(all_)
    assert all_.uploads == one.uploads, str(all_)
    assert sum(one.reads.values()) <= most, str(one)
