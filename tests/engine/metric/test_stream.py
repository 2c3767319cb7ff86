"""Moments streamed row by row against all vectors at once, and sketched against exact ones."""

import pytest
import torch
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.site import SiteHook
from icltui.engine.measure.forward_pass import forward
from icltui.engine.metric import stream
from icltui.engine.metric.background import BackgroundRow
from icltui.engine.metric.metric import Moments
from icltui.engine.metric.stream import SketchedSum, new_sum, stream_moments
from icltui.engine.models.background_thread import Cancelled
from tests.engine.small_models import D, M, tiny

ROWS = [BackgroundRow((0, *range(40 + 7 * k, 45 + 9 * k)), 1) for k in range(6)]
"""Of different lengths, so that some are padded."""


class All(SiteHook):
    """Every vector that passes."""

    def __init__(self) -> None:
        self.z: dict[int, list[Tensor]] = {}
        self.g: dict[int, list[Tensor]] = {}

    def mlp_input(self, layer: int, z: Tensor) -> None:
        self.z.setdefault(layer, []).append(z.clone())

    def down_input(self, layer: int, g: Tensor) -> None:
        self.g.setdefault(layer, []).append(g.clone())


def matrix(moments: Moments) -> Tensor:
    """E[x xᵀ], written out."""
    u, values = moments.vectors.double(), moments.values.double()
    return u.T @ torch.diag(values) @ u + moments.rest * (torch.eye(u.shape[1]) - u.T @ u)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "mixtral"])
def test_what_is_streamed_is_what_all_vectors_give_at_once(family: str) -> None:
    loaded = tiny(family)
    made = stream_moments(loaded, loaded.sites, ROWS)
    with torch.no_grad(), attach(loaded.sites, All()) as seen:
        for row in ROWS:
            forward(loaded.model, row.ids)
    for layer, both in made.layers.items():
        for moments, rows in ((both.z, seen.z[layer]), (both.g, seen.g.get(layer))):
            if rows is None:
                assert moments is None
                assert family == "mixtral"
                continue
            x = torch.cat(rows)
            scale = float(x.square().sum()) / len(x)
            torch.testing.assert_close(matrix(moments), x.T @ x / len(x), rtol=0, atol=1e-6 * scale)
            text = torch.cat([part[1:] for part in rows])
            assert moments.mean == pytest.approx(float(text.square().mean()))
    assert made.n_tokens == sum(len(row.ids) - 1 for row in ROWS)
    assert made.layers[0].z.vectors.shape == (D, D)
    assert made.layers[0].g is None or made.layers[0].g.vectors.shape[1] in (M, 4 * M)


def sums_of(x: Tensor, monkeypatch: pytest.MonkeyPatch, rank: int) -> tuple[Moments, Moments]:
    """The moments of ``x``, taken whole and sketched."""
    monkeypatch.setattr(stream, "RANK", rank)
    monkeypatch.setattr(stream, "_MORE", 20)
    whole = new_sum(x)
    monkeypatch.setattr(stream, "WIDEST", x.shape[1] - 1)
    sketch = new_sum(x)
    assert isinstance(sketch, SketchedSum)
    for total in (whole, sketch):
        for part in x.split(50):
            total.add(part, torch.ones(len(part), dtype=torch.bool))
    return whole.moments(), sketch.moments()


def decaying(n: int, width: int) -> Tensor:
    noise = torch.Generator().manual_seed(1)
    scales = torch.logspace(0, -3, width, dtype=torch.float64)
    return torch.randn(n, width, generator=noise, dtype=torch.float64) * scales


def test_a_sketch_of_full_rank_is_the_dense_form(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sketch = sums_of(decaying(400, 60), monkeypatch, rank=60)
    torch.testing.assert_close(matrix(sketch), matrix(whole), rtol=0, atol=1e-7 * whole.mean * 60)
    x = decaying(3, 60)
    torch.testing.assert_close(
        sketch.metric(0.01).whiten(x), whole.metric(0.01).whiten(x), rtol=1e-4, atol=1e-5
    )
    assert sketch.mean == pytest.approx(whole.mean)


def test_a_sketch_holds_the_largest_directions_and_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sketch = sums_of(decaying(400, 120), monkeypatch, rank=20)
    assert sketch.vectors.shape == (20, 120)
    u, rank, columns = sketch.vectors.double(), 20, 40
    missed = matrix(whole) - u.T @ torch.diag(sketch.values.double()) @ u
    tail = float(whole.values[rank:].sum())  # what the best approximation of this rank misses
    # Before the cut at most (1 + r/(k − r − 1)) tail in expectation (Halko et al. 2011, theorem 10.5, for C^½); the cut
    # adds the sketch's own tail, which is no larger than C's, as the sketch is below C.
    assert float(torch.linalg.matrix_norm(missed, "nuc")) < (2 + rank / (columns - rank - 1)) * tail
    assert float(matrix(sketch).trace()) == pytest.approx(float(matrix(whole).trace()), rel=1e-6)


def test_a_sketch_of_fewer_tokens_than_columns_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sketch = sums_of(decaying(10, 120), monkeypatch, rank=20)
    torch.testing.assert_close(matrix(sketch), matrix(whole), rtol=0, atol=1e-6 * float(whole.values[0]))
    assert sketch.rest == pytest.approx(0.0, abs=1e-7)


def test_dead_units_have_no_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    for moments in sums_of(torch.zeros(9, 30, dtype=torch.float64), monkeypatch, rank=5):
        assert moments.metric(0.01).whiten(torch.ones(1, 30)).tolist() == [[pytest.approx(10.0)] * 30]


def test_it_stops_between_passes() -> None:
    stages = []

    def on_progress(stage: str, done: int = 0, total: int = 0) -> None:
        stages.append((stage, done, total))
        raise Cancelled

    loaded = tiny("llama")
    before = [list(module._forward_hooks) for module in loaded.model.modules()]
    with pytest.raises(Cancelled):
        stream_moments(loaded, loaded.sites, ROWS, on_progress)
    assert stages == [("reading ordinary text", 0, len(ROWS))]
    assert [list(module._forward_hooks) for module in loaded.model.modules()] == before
