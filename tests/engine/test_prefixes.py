"""Packed prefixes against one forward pass each, and what the path choice does where packing cannot work."""

import pytest
import torch

from icltui.engine import prefixes
from icltui.engine.capture import Capture
from icltui.engine.prefixes import choose_path, measure_prefixes
from icltui.engine.tokens import Ids
from tests.engine.models import FAMILIES, tiny


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def ids(n: int, q: int, prefix: int = 1, step: int = 1) -> Ids:
    """A row of arbitrary tokens, the context cut every ``step`` tokens."""
    tokens = [(37 * k + 11) % 250 for k in range(prefix + n + q)]
    ends = sorted({0, *range(0, n, step), n})
    return Ids(
        tuple(tokens[:prefix]), tuple(tokens[prefix : prefix + n]), tuple(tokens[prefix + n :]), tuple(ends)
    )


def gather(loaded, row: Ids, path: str) -> dict[int, tuple[torch.Tensor, ...]]:
    chunks = list(measure_prefixes(loaded, loaded.sites, row, path))
    return {
        unit: (chunk.z[k], chunk.v[k], chunk.logits[k])
        for chunk in chunks
        for k, unit in enumerate(chunk.units)
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("n", "q", "prefix", "step"), [(13, 3, 1, 1), (9, 1, 0, 1), (12, 4, 2, 5)])
def test_packed_equals_loop(family, n, q, prefix, step, monkeypatch):
    monkeypatch.setattr(prefixes, "CHUNK_TOKENS", 12)
    monkeypatch.setattr(prefixes, "FIRST_CHUNK_TOKENS", 6)
    loaded, row = tiny(family), ids(n, q, prefix, step)
    packed, loop = gather(loaded, row, "packed"), gather(loaded, row, "loop")
    assert sorted(packed) == sorted(loop) == list(range(len(row.ends)))
    for unit, tensors in loop.items():
        for got, wanted in zip(packed[unit], tensors, strict=True):
            assert (got - wanted).norm() <= 2e-6 * wanted.norm(), f"unit {unit}"


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_full_context_leads_then_units_ascend(path):
    assert list(gather(tiny("llama"), ids(5, 2), path)) == [5, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("path", ["packed", "loop"])
def test_an_empty_context_is_one_copy(path):
    loaded, row = tiny("llama"), ids(0, 2)
    assert list(gather(loaded, row, path)) == [0]


def test_only_selected_layers_are_captured():
    loaded = tiny("llama")
    chunks = list(measure_prefixes(loaded, [loaded.sites[2]], ids(4, 2), "packed"))
    assert {chunk.z.shape[1] for chunk in chunks} == {1}
    everything = gather(loaded, ids(4, 2), "packed")
    assert torch.equal(chunks[0].z[0, 0], everything[4][0][2])


def test_a_site_that_is_passed_by_is_an_error_not_a_number():
    capture = Capture(slice(None))
    capture.mlp_input(0, torch.zeros(1, 4))
    with pytest.raises(RuntimeError, match="captured z at layers"):
        capture.states()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_here_packs(family):
    assert choose_path(tiny(family)) == "packed"


def test_path_is_loop_where_masks_are_wrong(monkeypatch):
    """The check at load must notice a packed pass that lets a copy see too much."""
    honest = prefixes.packed_masks

    def leaking(model, starts, q, n_before):
        return honest(model, torch.full_like(starts, n_before), q, n_before)

    monkeypatch.setattr(prefixes, "packed_masks", leaking)
    assert choose_path(tiny("llama")) == "loop"


def test_path_is_loop_where_layers_are_of_another_type():
    loaded = tiny("llama")
    config = loaded.model.config
    config.layer_types = ["linear_attention"] * 3
    try:
        assert choose_path(loaded) == "loop"
    finally:
        del config.layer_types


@pytest.mark.parametrize("off", [-1, 1])
def test_path_is_loop_where_a_copy_sees_one_token_too_many_or_too_few(off, monkeypatch):
    honest = prefixes.packed_masks
    monkeypatch.setattr(
        prefixes, "packed_masks", lambda model, starts, q, n: honest(model, (starts + off).clamp(1, n), q, n)
    )
    assert choose_path(tiny("llama", torch.float32)) == "loop"


def test_path_is_loop_where_rotation_depends_on_the_longest_position():
    config = tiny("llama").model.config
    before = config.rope_parameters
    config.rope_parameters = before | {"rope_type": "longrope"}
    try:
        assert choose_path(tiny("llama")) == "loop"
    finally:
        config.rope_parameters = before
