"""Norms of differences against one slow forward pass a context in float64, and a null against drawn vectors."""

import math

import numpy
import pytest
import torch

from icltui.engine.contexts.context_sets import ContextPair, ContextSet, combine_contexts
from icltui.engine.contexts.differences import pair_numbers, step_norms
from icltui.engine.measure.forward_pass import forward_states
from tests.engine.small_models import tiny

PREFIX, QUERY = (0,), (70, 12, 199)
A, B, C = (17, 203, 88), (140, 9), (61, 5, 211)
ANSWERS = ((3,), (8, 250, 41), (9,))
CONTEXTS = (A, B, A + B, B + A, A + B + C)
ONE = ContextSet(PREFIX, QUERY, CONTEXTS, ANSWERS, (ContextPair(0, 1, 2, 3),), (0, 2, 4))


def close(ours, theirs, share=1e-8):
    """Both are equal; None is what is not defined, as for z of a parallel block that no attention came before."""
    wanted = numpy.asarray(theirs, dtype=float)
    assert numpy.array(ours, dtype=float) == pytest.approx(wanted, rel=share, abs=1e-9, nan_ok=True)


def alone(loaded, context, answer=()):
    """z (layers, hidden) at the query's last token, and the answer's log-probability, of a run by itself."""
    row = [*PREFIX, *context, *QUERY]
    with torch.inference_mode():
        _, seen = forward_states(loaded.model, loaded.sites, row, 1)
        logits = loaded.model(torch.tensor([[*row, *answer]])).logits[0].log_softmax(-1)
    said = sum(float(logits[len(row) - 1 + k, token]) for k, token in enumerate(answer))
    return seen.z[:, 0].numpy(), said


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "mixtral", "olmo2"])
def test_numbers_are_of_runs_by_themselves(family):
    loaded = tiny(family)
    other = ContextSet(PREFIX, QUERY[::-1], (C, B, A), ((5,),))
    found = combine_contexts(loaded, [other, ONE])[1]
    plain, _ = alone(loaded, ())
    a, b, ab, ba, abc = (alone(loaded, context)[0] - plain for context in CONTEXTS)
    size = numpy.linalg.norm(ab, axis=-1)
    (pair,) = found.pairs
    close(pair.both, size)
    close(pair.first, numpy.linalg.norm(a, axis=-1))
    with numpy.errstate(invalid="ignore"):
        close(pair.interaction, numpy.linalg.norm(ab - a - b, axis=-1) / size)
        close(pair.order, numpy.linalg.norm(ab - ba, axis=-1) / size)
    for k in numpy.flatnonzero(size):
        weights, *_ = numpy.linalg.lstsq(numpy.stack([a[k], b[k]], axis=1), ab[k], rcond=None)
        assert (pair.weight_first[k], pair.weight_second[k]) == pytest.approx(weights, rel=1e-7)
        rest = numpy.linalg.norm(ab[k] - weights[0] * a[k] - weights[1] * b[k])
        assert pair.remainder[k] == pytest.approx(rest / size[k], rel=1e-7, abs=1e-9)
    close(found.steps, [numpy.linalg.norm(step, axis=-1) for step in (a, ab - a, abc - ab)])
    said = [[alone(loaded, context, answer)[1] for answer in ANSWERS] for context in ((), *CONTEXTS)]
    close(found.log_p, said)
    assert max(noise for noise in found.noise if noise is not None) < 1e-10


def test_the_noise_of_single_precision_is_seen():
    found = combine_contexts(tiny("llama", torch.float32), [ONE])[0]
    assert 0 < max(found.noise) < 1e-4


def drawn(n, seed=0):
    return torch.randn(4, 1, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_null_is_what_independent_vectors_have():
    """Of 20,000 dimensions, where cosines are about 1/√20,000; the norms are 1, 2, 3 and 1/2 times one length."""
    vectors = drawn(20_000) * torch.tensor([1.0, 2.0, 3.0, 0.5])[:, None, None]
    found = pair_numbers(*vectors)
    assert found.interaction == pytest.approx(found.null_interaction, rel=0.02)
    assert found.order == pytest.approx(found.null_order, rel=0.02)
    assert found.remainder[0] == pytest.approx(1, abs=0.01)
    equal = pair_numbers(*(vector / vector.norm() for vector in drawn(20_000)))
    assert equal.null_interaction[0] == pytest.approx(math.sqrt(3))
    assert equal.null_order[0] == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(("weight", "interaction"), [(1.0, 0.0), (0.5, 1.0)])
def test_sums_do_not_interact_and_averages_have_1(weight, interaction):
    a, b, *_ = drawn(50)
    found = pair_numbers(a, b, weight * (a + b), weight * (a + b))
    assert found.interaction[0] == pytest.approx(interaction, abs=1e-12)
    assert (found.order[0], found.remainder[0]) == pytest.approx((0, 0), abs=1e-12)
    assert (found.weight_first[0], found.weight_second[0]) == pytest.approx((weight, weight))


def test_a_context_that_changes_nothing_has_no_ratio():
    a, b, *_ = drawn(50)
    found = pair_numbers(a, b, 0 * a, b)
    assert found.interaction == found.order == found.remainder == (None,)
    assert step_norms(torch.stack([a, a])) == [(pytest.approx(float(a.norm())),), (0.0,)]
