"""Logits of rows against the contextual ones, as :class:`~icltui.values.trial.TrialScore` each.

Enters: logits after the query's last token and after each answer token that was read. Leaves: plain numbers.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.measure.predictions import entropy, finite_rows
from icltui.engine.patch.evaluate import centred
from icltui.values.trial import TrialScore

_Curve = tuple[tuple[float, float | None, float | None], ...]
_COLUMNS = ("mse", "centred_mse", "kl", "linf", "top_probability", "entropy")
_LATER = ("later_centred_mse", "later_kl")


def centred_mse(
    reference: Float[Tensor, "*rows vocabulary"], logits: Float[Tensor, "*rows vocabulary"]
) -> Float[Tensor, "*rows"]:
    """Mean squared error of the centred logits."""
    return (centred(logits) - centred(reference)).square().mean(-1)


def row_kl(
    reference: Float[Tensor, "*rows vocabulary"], logits: Float[Tensor, "*rows vocabulary"]
) -> Float[Tensor, "*rows"]:
    """KL(reference ‖ logits) in nats, row by row; never below 0."""
    log_p, log_q = reference.log_softmax(-1), logits.log_softmax(-1)
    terms = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0)
    return terms.sum(-1).clamp_min(0)


def score_rows(
    reference: Float[Tensor, "rows positions vocabulary"],
    logits: Float[Tensor, "rows positions vocabulary"],
    answers: Int[Tensor, "rows answer"],
    alphas: Sequence[float | None],
    curves: Sequence[_Curve] | None = None,
) -> list[TrialScore]:
    """The score of each row; ``answers`` has no column where nothing is to be answered."""
    reference = reference.to(logits.device)
    ours, theirs = logits[:, 0], reference[:, 0]
    difference = ours - theirs
    log_p = ours.log_softmax(-1)
    top_log_p, top = log_p.max(-1)
    columns = [
        difference.square().mean(-1),
        centred_mse(theirs, ours),
        row_kl(theirs, ours),
        difference.abs().amax(-1),
        top_log_p.exp(),
        entropy(log_p),
    ]
    names: tuple[str, ...] = _COLUMNS
    if answers.shape[1]:
        said = logits.log_softmax(-1).gather(-1, answers.to(logits.device)[..., None])[..., 0]
        columns.append(said.sum(-1))
        names = (*names, "answer_log_p")
    if answers.shape[1] > 1:
        columns.append(centred_mse(reference[:, 1:], logits[:, 1:]).mean(-1))
        columns.append(row_kl(reference[:, 1:], logits[:, 1:]).mean(-1))
        names = (*names, *_LATER)
    numbers = finite_rows(torch.stack(columns, dim=-1).cpu())
    equal, best = (top == theirs.argmax(-1)).tolist(), top.tolist()
    is_top = (logits.argmax(-1) == answers.to(logits.device)).all(-1).tolist() if answers.shape[1] else None
    return [
        TrialScore(
            **dict(zip(names, numbers[row], strict=True)),
            top1_equal=equal[row],
            top=best[row],
            alpha=alphas[row],
            answer_is_top=None if is_top is None else is_top[row],
            curve=curves[row] if curves else (),
        )
        for row in range(len(numbers))
    ]
