"""What half precision does to ‖δ‖, and what computing in float32 gives in its place."""

from dataclasses import replace

import pytest
import torch

from icltui.api.messages import Measure, UnitsMeasured
from icltui.engine.local import LocalEngine
from icltui.engine.measure.rounding_error import measure_rounding
from icltui.values import Row
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from tests.engine.small_models import FAMILIES, make_tiny, tiny

PROMPT = Prompt(context="two ships sank in 1912, one did not", query=" and")


def rows_of(loaded, **options) -> list[Row]:
    engine = LocalEngine(loaded, tiny("llama", torch.bfloat16).describe("packed"))
    events = list(engine.run(Measure(prompt=PROMPT, **options), lambda: False))
    return [row for event in events if isinstance(event, UnitsMeasured) for row in event.rows]


@pytest.fixture(scope="module")
def half():
    """A model as loading leaves it."""
    loaded = make_tiny("llama", torch.bfloat16)
    return replace(loaded, rounding=measure_rounding(loaded))


@pytest.mark.parametrize("reference", ["free", "local"])
def test_noise_is_what_delta_misses_float32_by(half, reference):
    """By layer, root mean square: the z of another text, of other lengths, rounded by other kernels."""
    ours, exact = (rows_of(half, reference=reference, precision=p) for p in ("model", "float32"))
    by_unit = {(row.unit, row.layer): row for row in exact}
    for layer in range(3):
        moved = [row for row in ours if row.layer == layer and row.delta_norm is not None]
        missed = [abs(row.z_norm - by_unit[row.unit, layer].z_norm) for row in moved]
        noise = [row.delta_noise for row in moved]
        assert max(missed) <= 3 * max(noise)
        # No less than an ulp of bfloat16 and no more than what a chaotic model of three layers makes of it.
        assert all(2**-10 < n / row.z_norm < 0.2 for n, row in zip(noise, moved, strict=True))


def test_float32_is_what_the_model_loaded_in_float32_gives(half):
    wide = make_tiny("llama", torch.float32)
    wide.model.load_state_dict(half.model.state_dict())
    assert rows_of(half, precision="float32") == rows_of(wide)
    assert rows_of(wide, precision="float32") == rows_of(wide)
    assert all(row.delta_noise is None for row in rows_of(wide))


def test_a_unit_that_moves_z_by_less_than_rounding_is_marked_and_points_nowhere(half):
    rounding = {layer: type(r)(free=10.0, local=r.local) for layer, r in half.rounding.items()}
    rows = rows_of(replace(half, rounding=rounding))
    moved = [row for row in rows if row.delta_norm is not None]
    assert moved
    assert all(row.is_noise and row.cosine_previous is None for row in moved)
    assert not any(row.is_noise for row in rows_of(half, precision="float32"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_tells_its_rounding_at_every_layer(family):
    found = measure_rounding(tiny(family, torch.bfloat16))
    assert set(found) == {0, 1, 2}
    assert all(0 < r.local < 0.05 for r in found.values())
    assert all(r.local <= 1.5 * r.free for r in found.values())
    assert measure_rounding(tiny(family, torch.float32)) == {}


def test_offloaded_weights_are_refused_before_anything_runs():
    offloaded = make_tiny("llama", torch.bfloat16)
    offloaded.model.lm_head.to("meta")
    with pytest.raises(BadInput, match=r"offloaded.*--precision model"):
        rows_of(offloaded, precision="float32")
    assert measure_rounding(offloaded) == {}


def test_a_measure_in_float32_that_is_stopped_half_way_leaves_the_model_as_it_was(half):
    before = {name: id(tensor) for name, tensor in half.model.state_dict(keep_vars=True).items()}
    engine = LocalEngine(half, tiny("llama", torch.bfloat16).describe("loop"))
    seen = []
    request = Measure(prompt=PROMPT, precision="float32")
    for event in engine.run(request, lambda: any(isinstance(e, UnitsMeasured) for e in seen)):
        seen.append(event)
    assert 0 < sum(len(e.rows) for e in seen if isinstance(e, UnitsMeasured)) < 3 * len(PROMPT.context)
    assert {name: id(tensor) for name, tensor in half.model.state_dict(keep_vars=True).items()} == before
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in half.model.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_quantized_weights_are_not_said_to_compute_in_float32(dtype, monkeypatch):
    """Their kernels take and give float32, and multiply in half precision all the same."""
    loaded = make_tiny("llama", dtype)
    monkeypatch.setattr(type(loaded.model), "is_quantized", True, raising=False)
    with pytest.raises(BadInput, match=r"quantized.*--precision model"):
        rows_of(loaded, precision="float32")
    assert rows_of(loaded)
    assert measure_rounding(loaded) == {}


def test_every_pass_is_told_to_whoever_may_stop_it():
    told = []
    measure_rounding(tiny("llama", torch.bfloat16), lambda *progress: told.append(progress))
    assert told == [("measuring its rounding", done, 3) for done in range(3)]
