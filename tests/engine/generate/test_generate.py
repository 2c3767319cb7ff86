"""The three lanes: what is equal to what, against a plain uncached greedy loop."""

import pytest
import torch

from icltui.engine.generate.generate import agree, generate, logit_error
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Agreement, Generation, LaneStep
from icltui.values.recipe import Recipe, Sampling
from tests.engine.small_models import FAMILIES, make_tiny, tiny

IDS = Ids((0,), (17, 203, 88, 140, 9, 61), (70, 12, 199), tuple(range(7)))
LANES = ("context", "plain", "patched")


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def run(family, ids=IDS, layers=None, lanes=LANES, n=6, sampling=Sampling(), loaded=None, **recipe):  # noqa: B008
    loaded = loaded or tiny(family)
    sites = loaded.sites if layers is None else [loaded.sites[k] for k in layers]
    spec = PatchSpec(loaded, sites, ids, "reset", Recipe(**recipe))
    *steps, whole = generate([spec], build_patch(spec, 2), lanes=lanes, n_tokens=n, sampling=sampling)
    assert isinstance(whole, Generation)
    assert all(isinstance(step, LaneStep) for step in steps)
    return steps, whole


def greedy(model, ids: list[int], n: int) -> tuple[int, ...]:
    """Without any cache, the whole row each time."""
    row = list(ids)
    for _ in range(n):
        row.append(int(model(torch.tensor([row]), use_cache=False).logits[0, -1].argmax()))
    return tuple(row[len(ids) :])


@pytest.mark.parametrize("family", FAMILIES)
def test_lanes_equal_uncached_greedy_and_the_patched_one_equals_the_context(family):
    steps, whole = run(family)
    model = tiny(family).model
    assert whole.lanes["context"].token_ids == greedy(model, IDS.full, 6)
    assert whole.lanes["plain"].token_ids == greedy(model, IDS.plain, 6)
    assert whole.lanes["patched"].token_ids == whole.lanes["context"].token_ids
    assert whole.agreement["patched"] == Agreement(equal=6, total=6, first_difference=None)
    assert whole.fit["patched"].linf < 1e-4 < whole.fit["plain"].linf
    assert max(s.kl_to_context for s in steps if s.lane == "patched") < 1e-9


def test_a_frozen_patch_is_exact_at_the_first_token_only():
    _, whole = run("llama", mode="frozen")
    assert whole.fit["patched"].linf < 1e-4
    kl = [step.kl_to_context for step in whole.lanes["patched"].steps]
    assert kl[0] < 1e-9
    assert all(k is None or k > 1e-6 for k in kl[1:]), "held, it cannot follow: that is the point of the lane"


def test_components_alone_miss():
    for components in ("weights", "shift"):
        _, whole = run("llama", components=components)
        assert whole.fit["patched"].linf > 0.01


def test_the_context_lane_always_runs_and_unasked_ones_do_not():
    steps, whole = run("llama", lanes=("plain",), n=2)
    assert [step.lane for step in steps] == ["context", "plain"] * 2
    assert set(whole.lanes) == {"context", "plain"}


def test_an_empty_context_makes_all_lanes_equal():
    _, whole = run("gpt2", ids=Ids((0,), (), IDS.query, (0,)))
    assert len({lane.token_ids for lane in whole.lanes.values()}) == 1
    assert whole.fit["plain"].linf == 0.0


def test_no_kept_prefix():
    _, whole = run("gpt2", ids=Ids((), IDS.context, IDS.query, IDS.ends))
    assert whole.lanes["patched"].token_ids == whole.lanes["context"].token_ids


def test_a_lane_ends_at_the_models_own_stop():
    loaded = make_tiny("llama")
    first = greedy(loaded.model, IDS.full, 3)
    loaded.model.generation_config.eos_token_id = [first[1]]
    _, whole = run("llama", loaded=loaded)
    assert whole.lanes["context"].token_ids == first[:2]
    assert whole.lanes["patched"].token_ids == first[:2]


def test_distributions_are_compared_only_while_the_lanes_hold_the_same_tokens():
    _, whole = run("llama")
    first = whole.agreement["plain"].first_difference
    assert first is not None
    kls = [step.kl_to_context for step in whole.lanes["plain"].steps]
    assert all(kl is not None for kl in kls[: first + 1])
    assert all(kl is None for kl in kls[first + 1 :])


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ([1, 2, 3], Agreement(equal=3, total=3, first_difference=None)),
        ([1, 9, 3], Agreement(equal=2, total=3, first_difference=1)),
        ([1], Agreement(equal=1, total=3, first_difference=1)),
        ([], Agreement(equal=0, total=3, first_difference=0)),
        ([1, 2, 3, 4], Agreement(equal=3, total=4, first_difference=3)),
    ],
)
def test_agreement(tokens, wanted):
    assert agree([1, 2, 3], tokens) == wanted


def test_logit_error():
    error = logit_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0]))
    assert (error.mse, error.linf, error.top1_equal) == (4.5, 3.0, True)
    p, q = torch.tensor([1.0, 2.0]).softmax(-1), torch.tensor([1.0, 5.0]).softmax(-1)
    assert error.kl == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-5)
