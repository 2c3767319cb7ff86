"""The choice by leave-one-out on the embedded model: what it tries, what it takes, what is given, what is refused."""

from dataclasses import replace as replace_trial
from statistics import median

import pytest
import torch
from msgspec.structs import replace

from icltui.engine.compile.choose import (
    MOST_LOST,
    STEPS,
    Choice,
    choose,
    least_collateral,
)
from icltui.engine.compile.leaving_out import LeftOutTrials, Trial
from icltui.engine.compile.verdict import refusal
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import PassageReader
from icltui.engine.patch.evaluate import ScoreSums
from icltui.tasks.catalogue import families
from icltui.values import ChoicePoint, CollateralSummary, LeaveOneOut, Unseen
from icltui.values.errors import EngineError
from icltui.values.prompt import Prompt
from icltui.values.recipe import COMPILED, Recipe
from tests.compilations import CHOICE_POINT

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("less_text")]
LABELS = next(family for family in families("embedded") if family.name.startswith("labels")).split()
TEXTS = tuple(query.text for query in LABELS.calibration[:4])
START = replace(COMPILED, n_fitted=1, queries=TEXTS)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(autouse=True)
def _fewer_tokens(monkeypatch):
    monkeypatch.setattr("icltui.engine.compile.choose.N_TOKENS", 128)


def chosen(
    demo: LoadedModel,
    recipe: Recipe = START,
    pinned: tuple[str, ...] = (),
    budget: float = 1e6,
    context: str = LABELS.context,
) -> tuple[Choice, list[ChoicePoint]]:
    prompt = Prompt(context=context, query=recipe.queries[0])
    spec = make_spec(demo, prompt, "all", recipe)
    reader = PassageReader(demo, spec.sites, "reset", len(spec.calibration))
    passages = [reader.read(ids, recipe.n_fitted) for ids in spec.calibration]
    points: list[ChoicePoint] = []
    return choose(spec, passages[0], passages, pinned=pinned, budget=budget, on_point=points.append), points


def ways(points) -> list[ChoicePoint]:
    return [replace(point, seconds=0.0, chosen=False) for point in points]


def test_it_tries_each_thing_and_takes_what_the_curve_says(demo):
    choice, points = chosen(demo)
    assert {point.step for point in points} == {"start", *STEPS}
    assert ways(choice.leave_one_out.curve) == ways(points)
    assert choice.notes == ()
    assert choice.leave_one_out.n_refits == 2
    assert choice.leave_one_out.refit_difference > 0
    assert choice.collateral.kl < 1
    assert choice.leave_one_out.r_median > 0.5
    taken = [point for point in choice.leave_one_out.curve if point.chosen][-1]
    recipe = choice.built.spec.recipe
    assert (taken.ridge, taken.rank, taken.epsilon) == (recipe.ridge, recipe.rank, recipe.epsilon)
    assert taken.collateral <= points[0].collateral or taken.kl < points[0].kl
    passage = choice.built.fitted[0].passage
    assert not torch.equal(patched_logits(choice.built, passage), patched_logits(choice.built, passage, 0.0))


def test_it_takes_the_same_again(demo):
    first, again = (
        chosen(demo, pinned=("ridge", "epsilon", "components", "layers", "alpha"))[0] for _ in range(2)
    )
    assert ways(first.leave_one_out.curve) == ways(again.leave_one_out.curve)
    assert first.built.spec.recipe == again.built.spec.recipe


def test_what_is_given_is_not_varied(demo):
    recipe = replace(START, ridge=0.5, epsilon=0.02, components="shift", rank=2, alpha=0.7)
    choice, points = chosen(demo, recipe, ("ridge", "epsilon", "rank", "components", "layers", "alpha"))
    assert [point.step for point in points] == ["start"]
    made = choice.built
    assert (made.alpha, made.spec.recipe) == (0.7, recipe)
    _, points = chosen(demo, recipe, ("ridge", "epsilon", "components", "layers", "alpha"))
    assert {point.ridge for point in points} == {0.5}
    assert {point.rank for point in points} == {1, 2, 8}


def test_a_budget_ends_it_with_the_best_so_far(demo):
    choice, points = chosen(demo, budget=1e-9)
    assert [point.step for point in points] == ["start"]
    assert "ended at its budget of 1e-09 s after 1 ways, when ridge was varied" in choice.notes[0]
    assert choice.built.spec.recipe.ridge == COMPILED.ridge
    assert choice.leave_one_out.n_refits == 0


def test_a_strength_may_be_searched(demo):
    pinned = ("ridge", "epsilon", "rank", "components", "layers", "alpha")
    choice, points = chosen(demo, replace(START, alpha="search"), pinned)
    assert [point.step for point in points] == ["start", "alpha"]
    assert points[-1].alpha == choice.built.alpha != 1.0


def test_a_context_that_says_something_else_of_each_query_is_refused(demo):
    """No query tells of another, so that nothing carries over."""
    answers = ("red", "blue", "green", "dax", "blikop")
    context = "".join(f"{text} {answer}\n" for text, answer in zip(TEXTS, answers[: len(TEXTS)], strict=True))
    choice, _ = chosen(demo, context=context, budget=1e-9)
    reason = refusal(choice.leave_one_out, None, choice.collateral)
    assert reason is not None
    assert "--queries" in reason
    assert "--force" in reason


def test_a_context_that_changes_nothing_is_refused():
    nothing = LeaveOneOut(r_median=None, n_queries=0, kl=0.0, kl_plain=0.0)
    assert refusal(nothing).startswith("the context changes nothing at the calibration queries")


GOOD = LeaveOneOut(r_median=0.9, n_queries=9, kl=0.1, kl_plain=2.0, n_harmed=0)
UNSEEN = Unseen(
    n_queries=4, n_tokens=4, kl=0.1, kl_plain=2.0, r_median=0.9, r_mean=0.9, equal=4, equal_plain=0
)


@pytest.mark.parametrize(
    ("left_out", "unseen", "collateral", "words"),
    [
        # .2 + 1.645 · max(error, .5 / √n): of nine queries .474, of three .675.
        (replace(GOOD, r_median=0.47), None, None, "median R 0.47, at least 0.47 is needed"),
        (replace(GOOD, r_median=0.48), None, None, None),
        (replace(GOOD, r_median=0.6, standard_error=0.25), None, None, "median R 0.6, at least 0.61"),
        (replace(GOOD, r_median=0.67, n_queries=3), None, None, "3 calibration queries"),
        (replace(GOOD, r_median=0.68, n_queries=3), None, None, None),
        (replace(GOOD, n_harmed=4), None, None, "harms 4 of 9 calibration queries"),
        (replace(GOOD, kl=2.5), None, None, "KL 2.5 nats, without it 2 nats"),
        (replace(GOOD, kl=None), None, None, "KL no number"),
        (GOOD, None, CollateralSummary(kl=3.0, n_tokens=9), "unrelated text by 3 nats a token"),
        (GOOD, None, CollateralSummary(kl=None, n_tokens=9), "unrelated text by no number"),
        (GOOD, replace(UNSEEN, r_median=-0.1), None, "unseen queries: median R -0.1"),
        (GOOD, replace(UNSEEN, kl=3.0), None, "unseen queries: KL 3 nats"),
        (GOOD, UNSEEN, CollateralSummary(kl=0.1, n_tokens=9), None),
        (GOOD, replace(UNSEEN, r_median=None), None, None),
    ],
)
def test_what_harms_is_refused_with_the_way_out(left_out, unseen, collateral, words):
    reason = refusal(left_out, unseen, collateral)
    assert (reason is None) == (words is None)
    assert words is None or (words in reason and "--force makes it all the same" in reason)


def trial(demo: LoadedModel, kls: tuple[float, ...], collateral: float, n_agreeing: int = 9) -> Trial:
    """Queries of KL 10 without a patch; ``n_agreeing`` of them begin as with the context."""
    spec = make_spec(demo, Prompt(context="a", query="b"), "all", Recipe())
    scores = tuple(ScoreSums(1, kl, 0.0, 0, int(k < n_agreeing)) for k, kl in enumerate(kls))
    return Trial(BuiltPatch(spec), CHOICE_POINT, scores, tuple(1 - kl / 10 for kl in kls), collateral, 1.0)


def test_of_those_as_good_as_the_best_the_least_collateral_is_taken(demo):
    best = trial(demo, (1.0, 2.0, 6.0), 3.0)
    near = trial(demo, (1.0, 2.1, 6.1), 2.0)  # + .067 ± .033
    alike = trial(demo, (1.0, 2.0, 6.1), 1.0)  # + .033 ± .033
    lost = trial(demo, (0.5, 1.5, 9.0), 0.0)  # + .67 ± 1.2
    assert least_collateral([best, near]) is best
    assert least_collateral([best, near, alike]) is alike
    assert least_collateral([best, lost]) is lost, "queries differ, so that this may be chance"
    one_more = trial(demo, (1.1, 2.1, 6.1), 0.0)  # + .1 on each
    assert least_collateral([best, one_more]) is best


def test_a_way_whose_median_is_good_but_that_loses_queries_is_not_taken(demo):
    """What leave-one-out says of the first tokens counts first, as a standard error excuses much on few queries."""
    best, lost = (1.0,) * 9 + (1.0,) * 3, (0.5,) * 10 + (5.0,) * 2
    assert median(trial(demo, lost, 0.0).r) > median(trial(demo, best, 0.0).r)
    whole = trial(demo, best, 3.0, 12)
    assert least_collateral([whole, trial(demo, lost, 0.0, 12 - MOST_LOST)]).collateral == 0
    assert least_collateral([whole, trial(demo, lost, 0.0, 12 - MOST_LOST - 1)]) is whole


def test_a_trial_of_which_nothing_is_known_is_not_taken(demo):
    known, unknown = trial(demo, (1.0, 2.0), 3.0), replace_trial(trial(demo, (0.0, 0.0), 0.0), r=())
    assert least_collateral([unknown, known]) is known
    assert least_collateral([unknown]) is unknown
    no_number = trial(demo, (1.0, 2.0), float("nan"))
    assert least_collateral([no_number, known]) is least_collateral([known, no_number]) is known


def test_a_way_that_gives_no_numbers_is_passed_over(demo, monkeypatch):
    real = LeftOutTrials.run

    def run(self, step, spec, strengths):
        if step == "components":
            raise EngineError("the patched model's probabilities on a query are not numbers")
        return real(self, step, spec, strengths)

    monkeypatch.setattr(LeftOutTrials, "run", run)
    _, points = chosen(demo, pinned=("ridge", "epsilon", "rank", "layers"))
    assert {point.step for point in points} == {"start", "alpha"}


def test_a_few_far_off_queries_do_not_rule_the_error_of_the_median(demo):
    error = 1.2533 * 1.4826 * 0.05 / 5**0.5
    assert trial(demo, (1.0, 0.5, 0.0, 0.5, 30.0), 0.0).standard_error == pytest.approx(error)
