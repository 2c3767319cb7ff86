"""Success by how strongly the model holds to its own answer: groups of alike prior margin.

Enters: margins m₀ = log p₀(own answer) − log p₀(context's answer), p₀ the model without the context, and what a patch
achieves on each query. Leaves: groups from the weakest prior to the strongest, deciles where there are enough queries.
"""

from collections.abc import Sequence

from icltui.engine.exam.bootstrap import median
from icltui.values import ExamAnswer, PriorGroup

MOST_GROUPS, LEAST_IN_GROUP = 10, 3


def group_sizes(n: int) -> list[int]:
    """The sizes of at most ten groups of ``n`` queries, of three queries at least, equal but for one; none below six.

    >>> group_sizes(12), group_sizes(5), len(group_sizes(100))
    ([3, 3, 3, 3], [], 10)
    """
    n_groups = min(MOST_GROUPS, n // LEAST_IN_GROUP)
    if n_groups < 2:
        return []
    return [n // n_groups + (k < n % n_groups) for k in range(n_groups)]


def by_prior(margins: Sequence[float | None], answers: Sequence[ExamAnswer]) -> tuple[PriorGroup, ...]:
    """The groups, from the smallest margins on; queries without one are left out."""
    known = [(m, answer) for m, answer in zip(margins, answers, strict=True) if m is not None]
    known.sort(key=lambda pair: pair[0])
    groups, begin = [], 0
    for size in group_sizes(len(known)):
        some = known[begin : begin + size]
        begin += size
        rs = [answer.r for _, answer in some if answer.r is not None]
        groups.append(
            PriorGroup(
                lowest=some[0][0],
                highest=some[-1][0],
                n_queries=size,
                r_median=median(rs),
                right=sum(answer.right for _, answer in some),
            )
        )
    return tuple(groups)
