"""The low-rank solve against the normal equations, its identities, and what it refuses."""

import pytest
import torch

from icltui.engine.patch.low_rank_map import check_rank, solve
from icltui.values.errors import BadInput


def columns(
    n_tokens: int, width: int = 12, hidden: int = 7, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    z, d = (torch.randn(n_tokens, n, generator=chance, dtype=torch.float64) for n in (width, hidden))
    return z, d


def dense(z: torch.Tensor, d: torch.Tensor, ridge: float = 0.0) -> torch.Tensor:
    """D (ZᵀZ + ρI)⁻¹ Zᵀ as a whole matrix."""
    gram = z @ z.T
    return d.T @ torch.linalg.solve(gram + ridge * gram.diagonal().mean() * torch.eye(len(z)).double(), z)


@pytest.mark.parametrize("ridge", [0.0, 1e-2])
@pytest.mark.parametrize("n_tokens", [1, 3, 12])
def test_it_is_the_least_squares_map(n_tokens, ridge):
    z, d = columns(n_tokens)
    map_, fit = solve(z, d, ridge)
    assert torch.allclose(map_.write @ map_.read, dense(z, d, ridge), atol=1e-10)
    assert torch.allclose(map_.read @ map_.read.T, torch.eye(map_.rank).double(), atol=1e-12)
    gram = z @ z.T + ridge * z.square().sum(1).mean() * torch.eye(n_tokens)
    assert fit.condition == pytest.approx(float(torch.linalg.cond(gram)), rel=1e-6)
    assert (fit.rank, fit.is_met) == (n_tokens, True)
    assert fit.error == pytest.approx(float((map_(z) - d).norm() / d.norm()), abs=1e-12)
    assert (fit.error < 1e-12) == (ridge == 0)


def test_one_vector_is_the_theorem():
    z, d = columns(1)
    map_, _ = solve(z, d)
    x = torch.arange(12.0, dtype=torch.float64)[None]
    assert torch.allclose(map_(x), d * (z @ x.T) / z.square().sum(), atol=1e-12)


def test_more_vectors_than_the_space_has_are_met_as_well_as_can_be():
    z, d = columns(20)
    map_, fit = solve(z, d, 1e-9)
    best = torch.linalg.lstsq(z, d).solution.T
    assert torch.allclose(map_.write @ map_.read, best, atol=1e-6)
    assert map_.rank == 12
    assert not fit.is_met
    assert fit.error > 0.1


def test_a_cut_map_is_the_nearest_of_its_rank():
    z, d = columns(6)
    whole, _ = solve(z, d)
    cut, fit = solve(z, d, rank=2)
    left, singular, right = torch.linalg.svd(whole.write @ whole.read)
    nearest = (left[:, :2] * singular[:2]) @ right[:2]
    assert torch.allclose(cut.write @ cut.read, nearest, atol=1e-10)
    assert torch.allclose(cut.read @ cut.read.T, torch.eye(2).double(), atol=1e-12)
    assert fit.error > 0.05


def test_a_zero_vector_carries_nothing():
    map_, fit = solve(torch.zeros(1, 4), torch.ones(1, 3))
    assert torch.equal(map_(torch.ones(2, 4, dtype=torch.float64)), torch.zeros(2, 3, dtype=torch.float64))
    assert (map_.rank, fit.rank, fit.is_met, fit.condition) == (0, 0, False, torch.inf)


def test_dependent_vectors_of_which_nothing_is_wanted_are_met():
    z, d = columns(3)
    z[2] = z[0]
    assert not solve(z, d)[1].is_met
    assert solve(z, 1e-9 * d)[1].is_met, "as at the first layer of parallel blocks, where z knows no context"


def test_nothing_to_add_is_met():
    z, _ = columns(2)
    assert solve(z, torch.zeros(2, 3, dtype=torch.float64))[1].error == 0.0


def test_dependent_vectors_are_told():
    z, d = columns(3)
    z[2] = 2 * z[0] - z[1]
    _, fit = solve(z, d)
    assert (fit.rank, fit.is_met) == (2, False)
    _, fit = solve(z.float(), d.float(), ridge=1e-3)
    assert fit.condition < 1e5


@pytest.mark.parametrize(
    ("rank", "n_tokens", "ridge", "words"),
    [
        (5, 4, 0.0, "rank 5 is more than 4 fitted tokens can have: give at most 4"),
        (9, 20, 1e-3, "rank 9 is more than a width of 8 can have: give at most 8"),
        (None, 9, 0.0, "9 tokens to fit, more than the width of 8: fit fewer, or give --ridge"),
    ],
)
def test_what_no_map_can_have_is_refused(rank, n_tokens, ridge, words):
    with pytest.raises(BadInput, match=words):
        check_rank(rank, n_tokens, 8, ridge)


def test_what_a_map_can_have_is_not():
    check_rank(4, 4, 8, 0.0)
    check_rank(8, 9, 8, 1e-6)
