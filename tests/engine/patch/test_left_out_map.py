"""Maps without a group of their vectors, against solves that never saw the group."""

import pytest
import torch

from icltui.engine.metric.metric import Moments
from icltui.engine.patch.left_out_map import leave_out
from icltui.engine.patch.low_rank_map import solve

WIDTH, HIDDEN = 12, 7
OF_EACH = torch.tensor([0, 0, 1, 1, 1, 2, 0, 3])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_metric():
    vectors = torch.linalg.qr(random(WIDTH, 5, seed=3))[0].T
    return Moments(vectors, torch.tensor([9.0, 4.0, 2.0, 1.0, 0.5]).double(), 0.1, 1.0).metric(0.01)


@pytest.mark.parametrize("metric", [None, a_metric()], ids=["plain", "ordinary"])
@pytest.mark.parametrize("group", range(4))
def test_it_is_the_map_that_never_saw_the_group(group, metric):
    z, d, x = random(8, WIDTH), random(8, HIDDEN, seed=1), random(3, WIDTH, seed=2)
    whole = z if metric is None else metric.whiten(z)
    kept = group != OF_EACH
    # ρ is a share of the mean over all vectors: another share of the mean over those that are kept
    share = 0.3 * float(whole.square().sum(1).mean() / whole[kept].square().sum(1).mean())
    wanted, _ = solve(z[kept], d[kept], share, None, metric)
    got = leave_out(z, d, OF_EACH, 0.3, metric).without(group)
    assert torch.allclose(got(x), wanted(x), atol=1e-10)


def test_the_residual_is_what_the_map_without_the_group_misses():
    z, d = random(8, WIDTH), random(8, HIDDEN, seed=1)
    maps = leave_out(z, d, OF_EACH, 0.1)
    for group in range(4):
        own = group == OF_EACH
        assert torch.allclose(maps.missed(group), d[own] - maps.without(group)(z[own]), atol=1e-10)


def test_vectors_that_depend_on_each_other_do_not_end_it():
    z, d = random(2, WIDTH).repeat(2, 1), random(4, HIDDEN, seed=1)
    groups = torch.tensor([0, 0, 1, 1])
    wanted, _ = solve(z[:2], d[:2])
    assert torch.allclose(leave_out(z, d, groups).without(1)(z[:2]), wanted(z[:2]), atol=1e-5)
    nothing = leave_out(torch.zeros(2, 3), torch.ones(2, 2), torch.tensor([0, 1])).without(0)
    assert not nothing(torch.ones(1, 3, dtype=torch.float64)).any()
