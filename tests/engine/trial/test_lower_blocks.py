"""Blocks that are skipped must give what they gave, and only where that changes nothing."""

import pytest
import torch

from icltui.engine.trial.batch import Batch
from icltui.engine.trial.lower_blocks import lower_blocks
from icltui.values.trial import TrialPatch
from tests.engine.small_models import FAMILIES, make_tiny, tiny
from tests.engine.trial.test_trial import prompts


@pytest.mark.parametrize("family", FAMILIES)
def test_a_search_is_the_same_without_the_blocks_below(family, monkeypatch):
    loaded = tiny(family, torch.float32)
    patch = TrialPatch(mode="frozen", layers=(2,), alpha="search")
    runs = []
    handle = loaded.sites[0].mlp.register_forward_hook(lambda *_: runs.append(0))
    with torch.inference_mode():
        quick = Batch(loaded, loaded.sites, prompts()).patched(patch)
        n_quick = len(runs)
        monkeypatch.setattr("icltui.engine.trial.batch.lower_blocks", lambda *_: None)
        whole = Batch(loaded, loaded.sites, prompts()).patched(patch)
    handle.remove()
    assert torch.equal(quick.logits, whole.logits)
    assert quick.curves == whole.curves
    assert n_quick < 8 < 27 < len(runs) - n_quick
    assert not any("forward" in vars(module) for module in loaded.model.modules())


def test_blocks_that_tell_later_ones_something_else_are_run():
    loaded = make_tiny("llama", torch.float32)
    first, last = loaded.sites[0].block, loaded.sites[2].block
    said = []
    first.mlp.register_forward_hook(lambda _, __, out: said.append(out))
    last.mlp.register_forward_hook(lambda _, __, out: out + said.pop() if said else out)
    row = torch.tensor([prompts()[0].ids.plain])

    def run():
        return loaded.model(row).logits

    with torch.inference_mode():
        assert lower_blocks([first, loaded.sites[1].block], run) is None
        assert not any("forward" in vars(module) for module in loaded.model.modules())
        assert lower_blocks([], run) is None
