"""Whether a patch may leave, and what it does in one sentence.

Enters: what leave-one-out and the tests found. Leaves: the reason to refuse it, with the way out, or None; and words.
"""

import math

from icltui.values import CollateralSummary, LeaveOneOut, Unseen

_WAY_OUT = (
    "give more queries like those that it is to answer (--queries), keep a token before the text (--bos always), or "
    "choose other layers (--layers); --force makes it all the same"
)


LEAST_R = 0.2
"""Median R of queries to come that a patch must surpass, as far as its left-out queries can tell."""
CONFIDENCE = 1.645
"""Standard errors below the left-out median that the median of queries to come lies with a chance of 5 % (normal)."""
LEAST_SPREAD = 0.5
"""The spread of R over queries that is reckoned with at least, that of a patch which speaks for the context on half of
them and says nothing on the others: three left-out queries may well be alike by chance."""
MOST_COLLATERAL = 1.0
"""Nats a token of unrelated text above which the patched model is another model."""


def refusal(
    leave_one_out: LeaveOneOut, unseen: Unseen | None = None, collateral: CollateralSummary | None = None
) -> str | None:
    """Why the patch would harm: on queries that it was not made from, or on unrelated text; None: it would not."""
    why = _left_out_fault(leave_one_out) or _collateral_fault(collateral) or _unseen_fault(unseen)
    return None if why is None else f"{why}: {_WAY_OUT}"


def _left_out_fault(found: LeaveOneOut) -> str | None:
    n = found.n_queries
    if found.r_median is None:
        return (
            "the context changes nothing at the calibration queries, so there is nothing to put into weights"
        )
    on = f"on the {n} calibration queries, each left out in turn"
    error = max(found.standard_error or 0.0, LEAST_SPREAD / math.sqrt(n))
    if found.r_median < (needed := LEAST_R + CONFIDENCE * error):
        return (
            f"the patch does not carry over {on}: median R {found.r_median:.2g}, at least {needed:.2g} is needed of "
            "so many, as unlike as they are"
        )
    if found.n_harmed * 3 > n:
        return f"the patch harms {found.n_harmed} of {n} calibration queries where each is left out in turn"
    if found.kl is None or found.kl_plain is None or found.kl >= found.kl_plain:
        return f"the patch harms {on}: KL {_nats(found.kl)}, without it {_nats(found.kl_plain)}"
    return None


def _collateral_fault(found: CollateralSummary | None) -> str | None:
    if found is None or (found.kl is not None and found.kl <= MOST_COLLATERAL):
        return None
    return (
        f"the patch changes unrelated text by {_nats(found.kl)} a token, at most {MOST_COLLATERAL:g} may be"
    )


def _unseen_fault(found: Unseen | None) -> str | None:
    if found is None or found.r_median is None:
        return None
    on = f"on the {found.n_queries} unseen queries"
    if found.r_median <= 0:
        return f"the patch harms {on}: median R {found.r_median:.2g}, where no patch has 0"
    if found.kl is None or found.kl_plain is None or found.kl >= found.kl_plain:
        return f"the patch harms {on}: KL {_nats(found.kl)}, without it {_nats(found.kl_plain)}"
    return None


def _nats(kl: float | None) -> str:
    return "no number" if kl is None else f"{kl:.2g} nats"


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
