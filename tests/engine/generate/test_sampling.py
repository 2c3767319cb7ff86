"""Coupled sampling: the right distribution, the same noise for all lanes, and what may be drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from icltui.engine.generate.sampling import Sampler
from icltui.engine.prompts.tokenize import Ids
from icltui.values.recipe import Sampling
from tests.engine.generate.test_generate import run


def draws(log_p: torch.Tensor, sampling: Sampling, n: int) -> torch.Tensor:
    sampler = Sampler(sampling)
    return torch.tensor([sampler.draw(log_p, step) for step in range(n)])


def test_greedy_takes_the_most_probable():
    assert Sampler(Sampling()).draw(torch.tensor([0.1, 0.9, 0.3]), 5) == 1


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_tokens_come_as_often_as_their_probabilities_say(temperature):
    log_p = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    wanted = (log_p / temperature).softmax(-1)
    n = 6000
    counts = draws(log_p, Sampling(temperature=temperature, seed=3), n).bincount(minlength=4) / n
    assert torch.allclose(counts, wanted, atol=4 * float((wanted * (1 - wanted) / n).sqrt().max()))


def test_top_k_and_top_p_leave_the_most_probable():
    log_p = torch.tensor([0.05, 0.5, 0.3, 0.15]).log()
    assert set(draws(log_p, Sampling(temperature=3.0, top_k=2), 200).tolist()) == {1, 2}
    assert set(draws(log_p, Sampling(temperature=1.0, top_p=0.75), 200).tolist()) == {1, 2}
    assert set(draws(log_p, Sampling(temperature=1.0, top_p=0.81), 400).tolist()) == {1, 2, 3}
    assert set(draws(log_p, Sampling(temperature=1.0, top_p=1e-9), 50).tolist()) == {1}
    assert set(draws(log_p, Sampling(temperature=1.0, top_k=9), 400).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("temperature", [5e-324, 1e-310, 1e-9])
def test_however_cold_it_is_the_most_probable_token_comes(temperature):
    log_p = torch.tensor([0.05, 0.5, 0.3, 0.15]).log()
    assert set(draws(log_p, Sampling(temperature=temperature), 20).tolist()) == {1}


def test_what_is_impossible_is_never_drawn():
    log_p = torch.tensor([-torch.inf, 0.0, -torch.inf])
    assert set(draws(log_p, Sampling(temperature=5.0), 100).tolist()) == {1}


@given(seed=st.integers(0, 2**63 - 1), step=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_equal_distributions_give_equal_tokens_whoever_asks_first(seed, step):
    sampling = Sampling(temperature=1.0, seed=seed)
    log_p = torch.randn(50, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    one, other = Sampler(sampling), Sampler(sampling)
    other.draw(log_p, 5)
    assert one.draw(log_p, step) == other.draw(log_p, step) == one.draw(log_p, step)


def test_lanes_are_the_same_where_the_patch_is_exact_and_differ_where_it_is_not():
    hot = Sampling(temperature=1.0, seed=11)
    _, whole = run("llama", n=12, sampling=hot)
    assert whole.lanes["patched"].token_ids == whole.lanes["context"].token_ids
    assert whole.lanes["plain"].token_ids != whole.lanes["context"].token_ids
    assert whole.sampling == hot
    _, greedy = run("llama", n=12)
    assert greedy.lanes["context"].token_ids != whole.lanes["context"].token_ids
    _, again = run("llama", n=12, sampling=hot)
    assert again == whole
    _, other = run("llama", n=12, sampling=Sampling(temperature=1.0, seed=12))
    assert other.lanes["context"].token_ids != whole.lanes["context"].token_ids


def test_without_a_context_all_lanes_draw_the_same():
    _, whole = run("gpt2", ids=Ids((0,), (), (70, 12, 199), (0,)), sampling=Sampling(temperature=1.5, seed=4))
    assert len({lane.token_ids for lane in whole.lanes.values()}) == 1
