"""Groups of alike prior strength."""

import pytest

from icltui.engine.exam.prior_margin import by_prior, group_sizes
from icltui.values import ExamAnswer


def said(r: float | None, right: bool) -> ExamAnswer:
    return ExamAnswer(kl=0.0, r=r, text="x", right=right)


@pytest.mark.parametrize("n", [6, 7, 12, 29, 30, 31, 100, 997])
def test_groups_hold_every_query_once_and_are_alike_in_size(n):
    sizes = group_sizes(n)
    assert sum(sizes) == n
    assert len(sizes) == min(10, n // 3)
    assert max(sizes) - min(sizes) <= 1


def test_deciles_by_hand():
    """Thirty queries whose R falls with the margin, in no order: each decile holds three neighbours."""
    margins = [float((7 * k) % 30) for k in range(30)]
    answers = [said(1 - margin / 10, margin < 12) for margin in margins]
    groups = by_prior(margins, answers)
    assert [(g.lowest, g.highest) for g in groups] == [(3.0 * k, 3.0 * k + 2) for k in range(10)]
    assert [g.r_median for g in groups] == pytest.approx([1 - (3 * k + 1) / 10 for k in range(10)])
    assert [g.right for g in groups] == [3] * 4 + [0] * 6


def test_a_query_without_a_margin_is_in_no_group_and_one_without_r_counts_as_an_answer_only():
    margins = [None, *map(float, range(6))]
    answers = [said(9.0, True), *(said(None if k < 3 else 0.5, True) for k in range(6))]
    weak, strong = by_prior(margins, answers)
    assert (weak.n_queries, weak.r_median, weak.right) == (3, None, 3)
    assert (strong.r_median, strong.highest) == (0.5, 5.0)


def test_few_queries_are_not_cut_into_groups():
    assert by_prior([0.0] * 5, [said(1.0, True)] * 5) == ()
