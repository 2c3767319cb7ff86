"""Where half precision overflows there is an error or no number, never a wrong one."""

import math

import msgspec
import pytest
import torch

from icltui.api.messages import Generate, Measure, UnitsMeasured, Verify
from icltui.engine.local import LocalEngine
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt
from tests.engine.small_models import attribute, make_tiny

PROMPT = Prompt(context="abc def", query=" gh")
OVERFLOWS = {
    "attention": ("model.layers.1.self_attn.o_proj.weight", 6e4),
    "mlp": ("model.layers.1.mlp.down_proj.weight", 6e4),
    "gate": ("model.layers.2.mlp.gate_proj.weight", 6e4),
    "norm": ("model.layers.1.post_attention_layernorm.weight", 6e4),
    "lm_head": ("lm_head.weight", 5e4),
}
REQUESTS = (
    Measure(prompt=PROMPT),
    Measure(prompt=PROMPT, dynamics="drop", pairs=True),
    Generate(prompt=PROMPT, n_tokens=2),
    Verify(prompt=PROMPT),
)


def engine(where: str, factor: float, dtype: torch.dtype) -> LocalEngine:
    """A tiny model with one of its matrices blown up, its weights those that half precision can hold."""
    loaded = make_tiny("llama", torch.float32)
    with torch.no_grad():
        attribute(loaded.model, where).mul_(factor)
    loaded.model.to(torch.float16).to(dtype)
    return LocalEngine(loaded, loaded.describe("packed"))


def answers(engine: LocalEngine, request) -> list:
    return list(engine.run(request, lambda: False))


@pytest.mark.parametrize("where", OVERFLOWS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_an_overflow_is_said(where, request_):
    with pytest.raises(EngineError, match="not numbers in float16: try --dtype float32"):
        answers(engine(*OVERFLOWS[where], torch.float16), request_)


@pytest.mark.parametrize("where", OVERFLOWS)
def test_the_advice_is_good(where):
    """The very same weights give numbers in float32."""
    events = answers(engine(*OVERFLOWS[where], torch.float32), REQUESTS[0])
    assert all(number is None or math.isfinite(number) for number in numbers(msgspec.to_builtins(events)))


def numbers(value):
    """Every float of nested lists and dicts."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from numbers(inner)


def test_squares_that_half_precision_cannot_hold_are_no_overflow():
    """A residual stream in the thousands, whose squares are far beyond 65,504, is measured as in float32."""
    where, factor = OVERFLOWS["mlp"][0], 1e3
    half, single = (rows(engine(where, factor, dtype)) for dtype in (torch.float16, torch.float32))
    assert max(row.shift_norm for row in single if row.shift_norm is not None) > 1e3
    for got, wanted in zip(half, single, strict=True):
        for name in ("z_norm", "delta_norm", "shift_norm", "patch_norm"):
            a, b = getattr(got, name), getattr(wanted, name)
            assert a == (None if b is None else pytest.approx(b, rel=0.05))


def rows(engine: LocalEngine) -> list:
    return [
        row
        for event in answers(engine, REQUESTS[0])
        if isinstance(event, UnitsMeasured)
        for row in event.rows
    ]
