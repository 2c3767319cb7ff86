"""The metric of ordinary inputs against dense matrices, and the map that is least in it."""

import pytest
import torch
from torch import Tensor

from icltui.engine.metric.metric import Metric, Moments
from icltui.engine.patch.low_rank_map import solve

WIDTH, HIDDEN, TOKENS = 24, 10, 6


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(rank: int = WIDTH) -> Moments:
    """Of vectors whose directions differ a thousandfold in length."""
    scales = torch.logspace(0, -3, WIDTH, dtype=torch.float64)
    basis = torch.linalg.qr(random(WIDTH, WIDTH, seed=5))[0]
    rest = float(scales[rank:].mean()) if rank < WIDTH else 0.0
    return Moments(basis.T[:rank].contiguous(), scales[:rank], rest, float(scales.mean()))


def dense(metric: Metric) -> Tensor:
    """C, written out."""
    inside = metric.vectors.T @ metric.vectors
    outside = torch.eye(inside.shape[0], dtype=torch.float64) - inside
    return metric.vectors.T @ torch.diag(metric.values) @ metric.vectors + metric.rest * outside


@pytest.mark.parametrize("rank", [WIDTH, 7, 1])
@pytest.mark.parametrize("epsilon", [1e-3, 1.0])
def test_whitened_vectors_have_no_preferred_direction(rank: int, epsilon: float) -> None:
    metric = moments(rank).metric(epsilon)
    x, c = random(4, WIDTH), dense(metric)
    torch.testing.assert_close(metric.whiten(x) @ c @ metric.whiten(x).T, x @ x.T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(metric.square(x), (x @ c @ x.T).diagonal(), rtol=1e-10, atol=1e-10)
    assert float(c.trace()) / WIDTH == pytest.approx(1 + epsilon)


@pytest.mark.parametrize("ridge", [0.0, 1e-2])
@pytest.mark.parametrize("rank", [WIDTH, 7])
def test_the_map_is_that_of_the_penalised_normal_equations(rank: int, ridge: float) -> None:
    """min Σ ‖D z − d‖² + ρ tr(D C Dᵀ): D (Z Zᵀ + ρ C) = d Zᵀ, with ρ a share of the mean diagonal of ZᵀC⁻¹Z."""
    metric = moments(rank).metric(1e-2)
    z, d, c = random(TOKENS, WIDTH), random(TOKENS, HIDDEN, seed=1), dense(metric)
    map_, fit = solve(z, d, ridge, metric=metric)
    penalty = ridge * float((z @ torch.linalg.solve(c, z.T)).diagonal().mean())
    if penalty:
        wanted = torch.linalg.solve(z.T @ z + penalty * c, z.T @ d).T
    else:  # of the maps that fit exactly, the one of least tr(D C Dᵀ): D = d (ZᵀC⁻¹Z)⁻¹ ZᵀC⁻¹
        wanted = torch.linalg.lstsq(z @ torch.linalg.solve(c, z.T), z @ torch.linalg.inv(c)).solution.T @ d
        wanted = wanted.T
        assert fit.error < 1e-12
    torch.testing.assert_close(map_.write @ map_.read, wanted, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(map_.read @ map_.read.T, torch.eye(TOKENS, dtype=torch.float64))
    assert fit.condition == pytest.approx(
        float(torch.linalg.cond(z @ torch.linalg.solve(c, z.T) + penalty * torch.eye(TOKENS)))
    )


def test_no_map_that_fits_does_less_to_ordinary_text() -> None:
    metric, z, d = moments().metric(1e-2), random(TOKENS, WIDTH), random(TOKENS, HIDDEN, seed=1)
    ours, plain = (solve(z, d, metric=chosen)[0] for chosen in (metric, None))
    for map_ in (ours, plain):
        torch.testing.assert_close(map_(z), d)
    effect, norm = (
        [float(f(m.write @ m.read)) for m in (ours, plain)]
        for f in (lambda w: metric.square(w).sum(), torch.norm)
    )
    assert effect[0] < 0.5 * effect[1]
    assert norm[0] > norm[1]


@pytest.mark.parametrize("rank", [1, 3, TOKENS - 1])
def test_a_cut_map_is_the_nearest_of_its_rank_on_ordinary_text(rank: int) -> None:
    z, d, metric = random(TOKENS, WIDTH), random(TOKENS, HIDDEN, seed=1), moments().metric(1e-2)
    whole, cut = (solve(z, d, rank=k, metric=metric)[0] for k in (None, rank))
    values, basis = torch.linalg.eigh(dense(metric))
    root = basis @ torch.diag(values.sqrt()) @ basis.T
    left, singular, right = torch.linalg.svd(whole.write @ whole.read @ root)
    nearest = left[:, :rank] @ torch.diag(singular[:rank]) @ right[:rank] @ torch.linalg.inv(root)
    torch.testing.assert_close(cut.write @ cut.read, nearest, rtol=1e-9, atol=1e-10)
    assert cut.rank == rank


def test_a_large_epsilon_is_the_plain_metric() -> None:
    z, d = random(TOKENS, WIDTH), random(TOKENS, HIDDEN, seed=1)
    far, plain = (solve(z, d, 1e-2, metric=metric)[0] for metric in (moments().metric(1e9), None))
    torch.testing.assert_close(far.write @ far.read, plain.write @ plain.read, rtol=1e-6, atol=1e-8)


def test_dead_units_make_every_direction_alike() -> None:
    dead = Moments(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0.0, 0.0)
    assert dead.metric(0.01).whiten(torch.ones(1, 3)).tolist() == [[pytest.approx(10.0)] * 3]
