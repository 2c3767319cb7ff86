"""Whether a patch may leave, and what it does in one sentence.

Enters: what leave-one-out and the tests found. Leaves: the reason to refuse it, with the way out, or None; and words.
"""

from icltui.values import CollateralSummary, LeaveOneOut, Unseen

_WAY_OUT = (
    "give more queries like those that it is to answer (--queries), keep a token before the text (--bos always), or "
    "choose other layers (--layers); --force makes it all the same"
)


def refusal(leave_one_out: LeaveOneOut, unseen: Unseen | None) -> str | None:
    """Why the patch would harm: on the median query it is no better than no patch."""
    found = [
        (f"the {leave_one_out.n_queries} calibration queries, each left out in turn", leave_one_out.r_median)
    ]
    if unseen is not None:
        found.append((f"the {unseen.n_queries} unseen queries", unseen.r_median))
    for what, r_median in found:
        if r_median is not None and r_median <= 0:
            return f"the patch harms on {what}: median R {r_median:.2g}, where no patch has 0: {_WAY_OUT}"
    return None


def sentence(leave_one_out: LeaveOneOut, unseen: Unseen | None, collateral: CollateralSummary | None) -> str:
    """What the patch does: ``speaks for the context on 14 of 14 unseen queries; changes other text by 0.15 nats``."""
    if unseen is not None and unseen.n_queries:
        said = (
            f"speaks for the context on {unseen.n_agreeing} of {unseen.n_queries} unseen queries "
            f"({unseen.n_agreeing_plain} without it)"
        )
    elif unseen is not None:
        said = "had nothing to say on the unseen queries, at which the context changes nothing"
    elif leave_one_out.r_median is not None:
        said = (
            f"has no unseen query to answer; on {leave_one_out.n_queries} left out in turn it recovers "
            f"{leave_one_out.r_median:.0%} of what the context does"
        )
    else:
        said = "has no unseen query to answer, so that nothing is known of it beyond its own queries"
    if collateral is None or collateral.kl is None:
        return said
    return f"{said}; changes other text by {collateral.kl:.2g} nats a token"
