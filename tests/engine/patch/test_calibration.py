"""Passages: the contextual text and its states, read one by one or behind one context that runs once."""

import pytest
import torch

from icltui.engine.measure.forward_pass import forward
from icltui.engine.patch.calibration import PassageReader, logits_without_context, read_passage
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.prompts.tokenize import Ids
from tests.engine.small_models import FAMILIES, tiny
from tests.thinned import thinned

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
QUERIES = ((70, 12, 199), (33, 101), (5, 66, 7, 181), (90,))
IDS = [Ids((0,), CONTEXT, query, tuple(range(9))) for query in QUERIES]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def test_a_passage_is_what_the_model_says_with_the_context_there():
    loaded = tiny("llama")
    passage = read_passage(loaded, loaded.sites, IDS[0], 3, "reset")
    row = [*IDS[0].full, *passage.continuation]
    every = forward(loaded.model, row, logits_to_keep=torch.arange(len(row)))
    assert relative_error(passage.logits, every[-4:]) < 1e-6
    assert passage.continuation == tuple(every[-4:-1].argmax(-1).tolist())
    assert passage.targets.z.shape[1] == 3 + 3
    bare = forward(loaded.model, passage.plain, logits_to_keep=torch.arange(len(passage.plain)))
    assert relative_error(logits_without_context(loaded, passage), bare[-4:]) < 1e-6


@pytest.mark.parametrize("positions", ["reset", "keep"])
@pytest.mark.parametrize("family", thinned(FAMILIES, 2))
def test_behind_one_context_each_query_is_read_as_alone(family, positions):
    loaded = tiny(family)
    reader = PassageReader(loaded, loaded.sites, positions, len(IDS))
    for ids in IDS:
        ours, theirs = reader.read(ids, 3), read_passage(loaded, loaded.sites, ids, 3, positions)
        assert ours.continuation == theirs.continuation
        assert ours.position_ids == theirs.position_ids
        assert relative_error(ours.logits, theirs.logits) < 2e-6
        for name in ("z", "v", "out"):
            assert relative_error(getattr(ours.targets, name), getattr(theirs.targets, name)) < 2e-6


@pytest.mark.parametrize("family", ["gemma3", "mistral"])
def test_a_query_that_reaches_over_a_window_is_read_and_those_behind_it_too(family):
    """The first fits into the window of 5; what the second pushes out of it the third must find again."""
    loaded = tiny(family)
    reader = PassageReader(loaded, loaded.sites, "reset", 3)
    for query in ((5,), (5, 6, 7, 8), (9, 10)):
        ids = Ids((0,), (9,), query, (0, 1))
        theirs = read_passage(loaded, loaded.sites, ids, 2, "reset")
        assert relative_error(reader.read(ids, 2).logits, theirs.logits) < 2e-6


def test_another_context_is_run_anew():
    loaded = tiny("llama")
    reader = PassageReader(loaded, loaded.sites, "reset", 9)
    other = Ids((0,), (4, 5, 6), QUERIES[0], (0, 1, 2, 3))
    for ids in (IDS[0], other, IDS[1]):
        theirs = read_passage(loaded, loaded.sites, ids, 2, "reset")
        assert relative_error(reader.read(ids, 2).logits, theirs.logits) < 2e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_context_runs_once(family):
    loaded, lengths = tiny(family), []
    handle = loaded.model.register_forward_pre_hook(
        lambda _, args, __: lengths.append(args[0].shape[1]), with_kwargs=True
    )
    try:
        reader = PassageReader(loaded, loaded.sites, "reset", len(IDS))
        for ids in IDS:
            reader.read(ids, 0)
    finally:
        handle.remove()
    assert lengths == [9, 3, 2, 4, 1]
