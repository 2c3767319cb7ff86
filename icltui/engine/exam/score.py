"""How far a patch speaks as the context does: teacher-forced, on many passages at once.

Enters: passages, and what acts on the model meanwhile. Leaves: logits of each passage, and their divergence from the
contextual ones in nats. Every patch is put to the very same tokens, so that their numbers can be compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.forward_pass import forward_rows
from icltui.engine.measure.predictions import finite_or_none, kl_divergence
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.evaluate import NOTHING

Acting = Callable[[Sequence[Passage]], AbstractContextManager[object]]
"""A context manager in which a patch acts on the rows of some passages, laid end to end and padded on the right."""
Result = TypeVar("Result")
MOST_ROWS, MOST_TOKENS, MOST_LOGITS = 32, 16_384, 2**27
"""The limits of one batch; tokens count their padding."""


def in_batches(
    passages: Sequence[Passage], run: Callable[[Sequence[Passage]], Result], width: int = 1
) -> Iterator[Result]:
    """The result of ``run`` on groups of the passages, in order, each as large as fits.

    ``width``: the numbers that a token takes, such as its logits.
    """
    longest = max((len(passage.ids.full) + len(passage.continuation) for passage in passages), default=1)
    size = max(1, min(MOST_ROWS, MOST_TOKENS // longest, MOST_LOGITS // (longest * width)))
    while passages:
        first = partial(_run_first, run, passages)
        result, size = run_as_fits(first, min(size, len(passages)), "queries")
        yield result
        passages = passages[size:]


def _run_first(run: Callable[[Sequence[Passage]], Result], passages: Sequence[Passage], n: int) -> Result:
    return run(passages[:n])


def forced_logits(
    loaded: LoadedModel, passages: Sequence[Passage], acting: Acting
) -> Iterator[tuple[Sequence[Passage], list[Float[Tensor, "_tokens vocabulary"]]]]:
    """Logits without the context after each query and each token of its continuation, a patch at work, in batches."""

    def run(some: Sequence[Passage]) -> tuple[Sequence[Passage], list[Tensor]]:
        with acting(some):
            return some, _logits(loaded, some)

    yield from in_batches(passages, run, width=passages[0].logits.shape[-1] if passages else 1)


def _logits(loaded: LoadedModel, passages: Sequence[Passage]) -> list[Float[Tensor, "_tokens vocabulary"]]:
    if len(passages) == 1:
        return [logits_without_context(loaded, passages[0])]
    rows = [passage.plain for passage in passages]
    longest = max(map(len, rows))
    begins = [len(passage.ids.plain) - 1 for passage in passages]
    kept = longest - min(begins)
    logits = forward_rows(loaded.model, rows, [passage.position_ids for passage in passages], kept)
    return [
        widen(logits[number, begin - longest + kept : len(row) - longest + kept])
        for number, (begin, row) in enumerate(zip(begins, rows, strict=True))
    ]


def kl_sum(passage: Passage, logits: Float[Tensor, "_tokens vocabulary"], n: int) -> float:
    """KL(context ‖ these) in nats, summed over the first ``n`` of the passage's tokens, or as many as there are."""
    theirs = passage.logits[:n].to(logits.device).log_softmax(-1)
    ours = logits[:n].log_softmax(-1)
    return sum(float(kl_divergence(p, q)) for p, q in zip(theirs, ours, strict=True))


def r_of(kl: float, kl_plain: float | None, n_tokens: int) -> float | None:
    """R = 1 − KL(context ‖ patched) / KL(context ‖ none), of sums over ``n_tokens``.

    None where the context changes nothing, or one of both is no number.

    >>> r_of(0.5, 2.0, 1)
    0.75
    """
    if kl_plain is None or kl_plain < NOTHING * n_tokens:
        return None
    return finite_or_none(1 - kl / kl_plain)
