"""Collateral: what a patch changes on text that has nothing to do with its context.

Enters: held-out rows of the background text, which no metric was made from. Leaves: mean KL(model ‖ patched model) a
token, in nats, and the same of second order. What the model itself says to the rows is kept, so that each patch costs
one pass.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.capture import widen
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.measure.predictions import finite_or_none, kl_divergence
from icltui.engine.metric.background import Background, rows
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.decoding import acting
from icltui.values import CollateralSummary

N_TOKENS, ROW_TOKENS, ROWS_AT_ONCE = 1024, 128, 4
"""Tokens that a collateral is a mean over, or so; of one row, at most; rows of one pass."""
MOST_LOGITS = 2**27
"""Numbers that are kept of what the model says."""
SMALL = 0.1
"""The strength at which the divergence is still of second order in it."""


@dataclass(frozen=True)
class UnrelatedText:
    """Rows of tokens, and the model's own log-probabilities after each but the kept ones."""

    loaded: LoadedModel
    rows: tuple[tuple[int, ...], ...]
    n_kept: int
    log_p: tuple[Float[Tensor, "_tokens vocabulary"], ...]

    @property
    def n_tokens(self) -> int:
        """Tokens that the mean is over."""
        return sum(len(row) - self.n_kept for row in self.rows)

    def collateral(
        self, patch: AbstractContextManager[object], on_progress: ProgressCallback = ignore_progress
    ) -> float:
        """Mean KL(model ‖ patched model) a token in nats, with ``patch`` at work."""
        with patch:
            patched = _log_p(self.loaded, self.rows, self.n_kept, on_progress)
        kls = (
            kl_divergence(p, q)
            for theirs, ours in zip(self.log_p, patched, strict=True)
            for p, q in zip(theirs, ours, strict=True)
        )
        return float(torch.stack([*kls]).mean())

    def summarize(
        self, built: BuiltPatch, on_progress: ProgressCallback = ignore_progress
    ) -> CollateralSummary:
        """What the held patch does at its strength, and what it would do if it did that to second order alone.

        Of second order KL = ½ tr(ΔW C ΔWᵀ), C of these rows and ΔW in the Fisher metric of the logits. It is taken from
        the KL at a tenth of the strength, times 100: no metric over the logits of every layer is ever formed.
        """
        assert built.patch is not None, "a patch per step is not held"
        small = self.collateral(acting(built.patch.at(SMALL * built.alpha)), on_progress)
        return CollateralSummary(
            kl=finite_or_none(self.collateral(acting(built.patch.at(built.alpha)), on_progress)),
            n_tokens=self.n_tokens,
            predicted=finite_or_none(small / SMALL**2),
        )


def read_unrelated(
    loaded: LoadedModel,
    background: Background,
    on_progress: ProgressCallback = ignore_progress,
    n_tokens: int = N_TOKENS,
) -> UnrelatedText:
    """Held-out rows of the background, evenly spread over it, and what the model says after their tokens.

    Raises:
        BadInput: a background of too few tokens.
    """
    found = rows(loaded, background, "held out")
    n_kept = found[0].n_kept
    pieces = [row.ids[: n_kept + ROW_TOKENS] for row in found]
    most = min(n_tokens, MOST_LOGITS // len(loaded.tokenizer))
    n_rows = max(1, round(most * len(pieces) / sum(len(piece) - n_kept for piece in pieces)))
    step = max(1.0, len(pieces) / n_rows)
    chosen = [pieces[int(k * step)] for k in range(min(n_rows, len(pieces)))]
    return UnrelatedText(loaded, tuple(chosen), n_kept, tuple(_log_p(loaded, chosen, n_kept, on_progress)))


def _log_p(
    loaded: LoadedModel, texts: Sequence[tuple[int, ...]], n_kept: int, on_progress: ProgressCallback
) -> list[Float[Tensor, "_tokens vocabulary"]]:
    found = []
    for begin in range(0, len(texts), ROWS_AT_ONCE):
        on_progress("reading unrelated text", begin, len(texts))
        some = texts[begin : begin + ROWS_AT_ONCE]
        longest = max(map(len, some))
        logits = forward_rows(loaded.model, some, [range(len(row)) for row in some], longest)
        found += [
            widen(each[n_kept : len(row)]).log_softmax(-1) for each, row in zip(logits, some, strict=True)
        ]
    return found
