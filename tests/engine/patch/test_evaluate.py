"""What a patch does where it was not made: sums over the right tokens, verdicts that can be bad, curves."""

import math
from dataclasses import replace

import pytest
import torch

from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.calibration import logits_without_context
from icltui.engine.patch.evaluate import verdict
from icltui.engine.patch.report import report_patch
from icltui.engine.prompts.tokenize import Ids
from icltui.values import PatchTest
from icltui.values.recipe import Recipe
from tests.engine.small_models import tiny

CONTEXT = (17, 203, 88, 140, 9, 61, 255, 34)
IDS = Ids((0,), CONTEXT, (70, 12, 199), tuple(range(9)))
OTHERS = tuple(Ids((0,), CONTEXT, query, tuple(range(9))) for query in ((33, 101), (5, 66, 7, 181), (90,)))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def built(calibration=(), holdout=(), sites=None, n_later=3, **recipe):
    loaded = tiny("llama")
    made = Recipe(**{"mode": "compiled", "n_fitted": 2, **recipe})
    return build_patch(
        PatchSpec(loaded, sites or loaded.sites, IDS, "reset", made, calibration, holdout), n_later
    )


def by_hand(made, passage, begin, end, alpha):
    """Mean KL and equal top tokens of some tokens, by another formula."""
    patch = made.acting_on(passage, alpha)
    from icltui.engine.patch.decoding import acting

    with acting(patch):
        logits = logits_without_context(made.spec.loaded, passage)
    p, q = (x[begin:end].double().softmax(-1) for x in (passage.logits, logits))
    kl = (p * (p / q).log()).sum(-1)
    return float(kl.mean()), int((p.argmax(-1) == q.argmax(-1)).sum())


def test_each_kind_of_tokens_is_counted_apart():
    made = built(holdout=OTHERS[:1])
    fitted, later, others, behind = report_patch(made).tests
    assert [(test.what, test.n_tokens) for test in (fitted, later, others, behind)] == [
        ("fitted tokens", 3),
        ("later tokens", 3),
        ("other queries", 3),
        ("other queries, later", 8),
    ]
    kl, equal = by_hand(made, made.own, 3, None, 1.0)
    assert later.kl == pytest.approx(kl, rel=1e-6)
    assert later.equal == equal
    kl, equal = by_hand(made, made.own, 3, None, 0.0)
    assert (later.kl_plain, later.equal_plain) == (pytest.approx(kl, rel=1e-6), equal)
    assert fitted.kl < 1e-9
    assert fitted.state_error < 1e-5 < 0.05 < later.state_error
    assert fitted.equal == 3
    assert fitted.kl_plain > 0.1


def test_the_prompts_own_query_is_another_where_the_patch_was_made_from_a_file():
    made = built(calibration=OTHERS[:2], ridge=1e-6)
    fitted, later, others, behind = report_patch(made).tests
    assert (fitted.n_tokens, later.n_tokens, others.n_tokens, behind.n_tokens) == (6, 6, 3, 3)
    assert others.kl == pytest.approx(by_hand(made, made.own, 0, 3, 1.0)[0], rel=1e-6)
    assert behind.kl == pytest.approx(by_hand(made, made.own, 3, None, 1.0)[0], rel=1e-6)


def test_a_query_that_was_fitted_is_no_other():
    alone = report_patch(built(holdout=(IDS, OTHERS[0])))
    assert [test.what for test in alone.tests[2:]] == ["other queries", "other queries, later"]
    assert alone.tests[2].n_tokens == 3
    assert alone.notes == ("1 of the held-out queries is fitted: no test of anything",)
    shared = report_patch(built(calibration=(IDS, OTHERS[0]), holdout=(OTHERS[0], OTHERS[1]), ridge=1e-4))
    assert shared.tests[2].n_tokens == 3, "neither the prompt's own nor the first is another"
    assert "1 of the held-out queries is fitted" in shared.notes[0]


def test_other_queries_are_read_no_further_than_the_window():
    loaded = replace(tiny("llama"), window=len(IDS.full) + 4)
    spec = PatchSpec(
        loaded, loaded.sites, IDS, "reset", Recipe(mode="compiled", n_fitted=2), holdout=OTHERS[1:2]
    )
    tests = report_patch(build_patch(spec)).tests
    assert [test.n_tokens for test in tests] == [3, 2, 3, 1]


def test_a_layer_that_knows_no_context_does_not_spoil_the_others():
    loaded = tiny("gpt_neox")
    spec = PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode="frozen"))
    assert report_patch(build_patch(spec)).tests[1].state_error > 0.05


def a_test(what="other queries", kl=0.0, kl_plain=2.0, equal=4, equal_plain=1):
    return PatchTest(
        what=what,
        n_tokens=4,
        kl=kl,
        kl_plain=kl_plain,
        mse=0.0,
        mse_plain=1.0,
        equal=equal,
        equal_plain=equal_plain,
    )


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (
            a_test(kl=0.01),
            "The patch carries over to 4 tokens of other queries (KL 0.01 against 2 without it",
        ),
        (a_test(kl=0.01, equal=3), "helps in part on"),
        (a_test(kl=0.5), "helps in part on"),
        (a_test(kl=1.5), "does not carry over to"),
        (a_test(kl=9.0), "does not carry over to"),
        (a_test(kl=0.0, kl_plain=0.0), "had nothing to win on 4 tokens"),
        (a_test(kl=1e-11, kl_plain=3e-11), "had nothing to win on 4 tokens"),
        (a_test("later tokens", kl=0.01), "4 tokens of the later text"),
        (a_test("other queries, later", kl=0.01), "4 tokens of the later text behind other queries"),
    ],
)
def test_the_verdict_says_plainly_what_the_numbers_do(test, words):
    assert words in verdict([a_test("fitted tokens"), test])


def test_there_is_no_verdict_on_what_the_patch_was_made_for():
    assert verdict([a_test("fitted tokens")]) == ""


def test_curves_begin_and_end_where_they_must():
    made = built(holdout=OTHERS[:1])
    report = report_patch(made, curves=True)
    curves = report.curves
    assert [p.x for p in curves.alpha] == pytest.approx([k / 10 for k in range(21)])
    none, whole = curves.alpha[0], curves.alpha[10]
    assert none.kl == pytest.approx(by_hand(made, made.own, 0, 1, 0.0)[0], rel=1e-6)
    assert whole.kl < 1e-9
    assert report.tests[2].what == "other queries"
    assert whole.kl_others == pytest.approx(report.tests[2].kl, rel=1e-6)
    alone = report_patch(built(), curves=True)
    assert alone.curves.alpha[10].kl_others == pytest.approx(alone.tests[1].kl, rel=1e-6)
    for curve in (curves.from_bottom, curves.from_top):
        assert [p.x for p in curve] == [1, 2, 3]
        assert curve[-1].kl < 1e-9
        assert curve[-1].kl_others == pytest.approx(whole.kl_others, rel=1e-4)
    assert curves.from_bottom[0].kl > 1e-3
    assert curves.from_top[0].kl < 1e-9, "a patched last layer gives the context's output, whatever is below"
    lowest = built(sites=tiny("llama").sites[:1])
    assert curves.from_bottom[0].kl == pytest.approx(by_hand(lowest, lowest.own, 0, 1, 1.0)[0], rel=1e-4)
    assert curves.queries == ()


def test_the_curve_of_calibration_queries():
    made = built(calibration=OTHERS, ridge=1e-4)
    points = report_patch(made, curves=True).curves.queries
    assert [p.x for p in points] == [1, 2, 3]
    alone = built(calibration=OTHERS[:1], ridge=1e-4)
    assert points[0].kl_others == pytest.approx(by_hand(alone, alone.own, 0, 3, 1.0)[0], rel=1e-5)
    assert points[0].kl < 1e-3
    assert all(math.isfinite(p.kl_others) for p in points)


def test_per_step_has_curves_too_and_nothing_held():
    made = built(mode="per-step", holdout=OTHERS[:1])
    report = report_patch(made, curves=True)
    assert [test.what for test in report.tests] == ["later tokens", "other queries", "other queries, later"]
    assert max(test.kl for test in report.tests) < 1e-9
    assert (report.layers, report.verdict) == ((), "")
    assert report.curves.alpha[10].kl < 1e-9 < report.curves.alpha[5].kl
    assert report.curves.from_bottom[0].kl > 1e-3


def test_a_report_notes_what_was_not_as_asked():
    report = report_patch(built(carrier="bias", n_later=0))
    assert report.notes == ()
    loaded = tiny("mixtral")
    moe = build_patch(PatchSpec(loaded, loaded.sites, IDS, "reset", Recipe(mode="frozen")), 0)
    assert "at 3 of 3 layers no single down projection can carry the shift" in report_patch(moe).notes[0]
