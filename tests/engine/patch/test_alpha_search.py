"""α: by search, in closed form, against derivatives taken by differences; and what it is worth elsewhere."""

from dataclasses import replace

import pytest
import torch

from icltui.engine.patch.alpha_search import first_order_alpha, line_search, patched_logits, with_alpha
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.evaluate import centred
from icltui.engine.patch.report import report_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe
from tests.engine.small_models import FAMILIES, tiny
from tests.thinned import thinned

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
IDS = Ids((0,), CONTEXT, (70, 12, 199), tuple(range(9)))
OTHER = Ids((0,), CONTEXT, (33, 101), tuple(range(9)))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def built(family="llama", layers=slice(1, 2), holdout=(), calibration=(), **recipe):
    loaded = tiny(family)
    made = Recipe(**{"mode": "frozen", "components": "weights", **recipe})
    spec = PatchSpec(loaded, loaded.sites[layers], IDS, "reset", made, calibration, holdout)
    return build_patch(spec, 3)


def loss(made, alpha: float) -> float:
    ours, theirs = patched_logits(made, made.own, alpha)[0], made.own.logits[0]
    return float((centred(ours) - centred(theirs)).square().mean())


@pytest.mark.parametrize("best", [0.0, 0.31, 1.0, 1.999, 2.0])
def test_a_search_finds_the_bottom_of_a_bowl(best):
    assert line_search(lambda alpha: (alpha - best) ** 2) == pytest.approx(best, abs=2e-3)


def test_a_search_stays_in_its_range_and_takes_the_smaller_of_two():
    assert line_search(lambda alpha: -alpha) == 2.0
    assert line_search(lambda _: 1.0) == 0.0


@pytest.mark.parametrize("mode", ["frozen", "compiled", "per-step"])
def test_search_is_no_worse_than_any_point_of_a_grid(mode):
    made = with_alpha(built(mode=mode, n_fitted=2, alpha="search"))
    assert loss(made, made.alpha) <= min(loss(made, k / 10) for k in range(21)) + 1e-12


@pytest.mark.parametrize("mode", ["frozen", "compiled", "per-step"])
@pytest.mark.parametrize("family", thinned(FAMILIES, 2))
def test_the_closed_form_is_the_derivative_by_differences(family, mode):
    made = built(
        family,
        slice(None),
        mode=mode,
        n_fitted=1,
        components="both",
        alpha="jvp",
        carrier="bias" if mode != "per-step" else "output",
    )
    h = 1e-4
    slope = (patched_logits(made, made.own, h)[0] - patched_logits(made, made.own, 0.0)[0]) / h
    missing = made.own.logits[0] - patched_logits(made, made.own, 0.0)[0]
    wanted = float(centred(slope) @ centred(missing) / centred(slope).square().sum())
    assert first_order_alpha(made) == pytest.approx(min(max(wanted, 0), 2), rel=0.02, abs=0.01)
    assert with_alpha(made).alpha == first_order_alpha(made)


def test_a_patch_that_does_nothing_has_no_alpha():
    loaded = tiny("llama")
    spec = PatchSpec(
        loaded, loaded.sites, Ids((0,), (), (70, 12), (0,)), "reset", Recipe(mode="frozen", alpha="jvp")
    )
    with pytest.raises(BadInput, match="the context changes no logit beyond rounding"):
        with_alpha(build_patch(spec, 0))


def test_no_alpha_fits_a_context_without_effect():
    made = built(mode="frozen", alpha="jvp")
    same = replace(made, prompt=replace(made.own, logits=patched_logits(made, made.own, 0.0)))
    same = replace(same, fitted=tuple(replace(part, passage=same.own) for part in made.fitted))
    with pytest.raises(BadInput, match="the context changes no logit beyond rounding"):
        first_order_alpha(same)


def test_a_model_without_forward_derivatives_says_so(monkeypatch):
    def refuse(*_):
        raise NotImplementedError("no forward AD for op\nmore")

    monkeypatch.setattr("icltui.engine.patch.alpha_search.logits_without_context", refuse)
    with pytest.raises(
        BadInput,
        match=r"the derivative cannot be taken on this model \(no forward AD for op\): use --alpha search",
    ):
        first_order_alpha(built())


def test_a_fitted_alpha_is_judged_on_other_tokens():
    made = with_alpha(built(alpha="search", holdout=(OTHER,)))
    report = report_patch(made)
    assert report.alpha == made.alpha
    assert [test.what for test in report.tests] == [
        *("fitted tokens", "later tokens", "other queries", "other queries, later")
    ]
    assert report.tests[0].n_tokens == 1
    assert report.tests[1].n_tokens == 3
    assert (report.tests[2].n_tokens, report.tests[3].n_tokens) == (1, 8)
    assert (
        "was fitted on the logits behind this query: what it is worth is seen on other tokens"
        in report.notes[0]
    )


def test_calibration_queries_share_one_alpha():
    made = built(mode="compiled", n_fitted=0, ridge=1e-3, alpha="search", calibration=(IDS, OTHER))
    found = with_alpha(made).alpha

    def both(alpha):
        errors = [
            (centred(patched_logits(made, part.passage, alpha)[0]) - centred(part.passage.logits[0]))
            .square()
            .mean()
            for part in made.fitted
        ]
        return float(sum(errors) / 2)

    assert both(found) <= min(both(k / 10) for k in range(21)) + 1e-12
    assert replace(made, alpha=found).acting_on(made.own).alpha == found
