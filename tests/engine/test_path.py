"""Which path a model gets, and that the check at load notices a packed pass that is wrong."""

import pytest
import torch

from icltui.engine import prefixes
from icltui.engine.path import choose_path
from tests.engine.models import FAMILIES, make_tiny, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_here_packs(family):
    assert choose_path(tiny(family)) == ("packed", "")


def test_every_pass_is_told_and_the_packed_ones_are_in_two_chunks():
    told = []
    assert choose_path(tiny("llama"), lambda done, about: told.append((done, about))) == ("packed", "")
    assert told == [(done, 8) for done in range(8)]


def test_a_callback_that_raises_stops_and_leaves_nothing_behind():
    class Enough(Exception):
        pass

    def stop(done, _):
        if done == 2:
            raise Enough

    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.sliding_window = 64
    with pytest.raises(Enough):
        choose_path(loaded, stop)
    assert not loaded.model._forward_pre_hooks
    assert loaded.model.config.sliding_window == 64


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loop_where_a_copy_sees_one_token_too_many_or_too_few(off, dtype, monkeypatch):
    honest = prefixes.packed_masks

    def wrong(model, gaps, n_prefix, n_context, n_cached, q):
        gaps = [(min(max(begin + off, 0), end), end) for begin, end in gaps]
        return honest(model, gaps, n_prefix, n_context, n_cached, q)

    monkeypatch.setattr(prefixes, "packed_masks", wrong)
    path, reason = choose_path(tiny("llama", dtype))
    assert path == "loop"
    assert "packed prefixes miss single ones by" in reason


def test_loop_where_layers_are_of_another_type():
    loaded = tiny("llama")
    config = loaded.model.config
    config.layer_types = ["linear_attention"] * 3
    try:
        path, reason = choose_path(loaded)
    finally:
        del config.layer_types
    assert path == "loop"
    assert "layers of type linear_attention cannot be packed" in reason


def test_loop_where_rotation_depends_on_the_longest_position():
    config = tiny("llama").model.config
    before = config.rope_parameters
    config.rope_parameters = before | {"rope_type": "longrope"}
    try:
        assert choose_path(tiny("llama"))[0] == "loop"
    finally:
        config.rope_parameters = before


@pytest.mark.parametrize("window", [3, 64])
def test_loop_where_the_model_does_not_keep_to_the_window_of_its_config(window):
    """The window may be longer than the few tokens of the check."""
    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.sliding_window = window
    assert choose_path(loaded)[0] == "loop"
    assert loaded.model.config.sliding_window == window


def test_loop_where_the_config_has_a_reach_of_another_name():
    loaded = make_tiny("llama", torch.float32)
    loaded.model.config.window_size = 256
    path, reason = choose_path(loaded)
    assert path == "loop"
    assert "'window_size'" in reason
