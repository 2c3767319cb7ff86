"""What is answered to each query, greedily, and whether that is right.

Enters: passages, their teacher-forced logits, and rows that a lane goes on with. Leaves: an :class:`Answer` for each.
As long as a lane says what the contextual continuation says, its forced logits are its own, so that only the rows
that depart from it are decoded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.exam.score import in_batches
from icltui.engine.measure.forward_pass import can_use_cache, forward_arguments
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.decoding import stop_tokens


@runtime_checkable
class AnswerLane(Protocol):
    """Rows that are continued token by token."""

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        """Logits after the last token of each row."""

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Logits after one more token of each row."""


StartLane = Callable[[Sequence[Passage]], AnswerLane]
"""The rows of some passages' queries, to be continued."""
_TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4}
"""The largest error of a padded row's logits, relative to the largest logit; other dtypes: 5e-2."""


@dataclass(frozen=True)
class Answer:
    """The first tokens that a lane says; the last of them ends the text where it is one that does."""

    tokens: tuple[int, ...]
    log_p: float
    """The log-probability of the tokens in the lane that says them, in nats."""

    def text(self, loaded: LoadedModel) -> str:
        """The answer as text, without the token that ends it."""
        shown = [token for token in self.tokens if token not in stop_tokens(loaded)]
        text: str = loaded.tokenizer.decode(shown)
        return text


def contextual_tokens(passage: Passage, n: int) -> tuple[int, ...]:
    """The first ``n`` tokens of the contextual answer, fewer where the model ends it."""
    said = passage.continuation[:n]
    last = int(passage.logits[len(said)].argmax()) if len(said) < n else None
    return said if last is None else (*said, last)


def log_p_of(tokens: Sequence[int], logits: Float[Tensor, "_tokens vocabulary"]) -> float:
    """The log-probability of ``tokens`` in nats, from the logits before each of them."""
    log_p = logits[: len(tokens)].double().log_softmax(-1)
    at = torch.tensor(tokens, device=logits.device)
    return float(log_p.gather(-1, at[:, None]).sum())


def answers(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    forced: Sequence[Float[Tensor, "_tokens vocabulary"]],
    start: StartLane,
    n: int,
) -> list[Answer]:
    """The first ``n`` tokens that a lane says to each query, ``forced`` being its logits on the contextual answer."""
    found: dict[int, Answer] = {}
    for number, (passage, logits) in enumerate(zip(passages, forced, strict=True)):
        wanted = contextual_tokens(passage, n)
        if logits[: len(wanted)].argmax(-1).tolist() == list(wanted):
            found[number] = Answer(wanted, log_p_of(wanted, logits))
    left = [number for number in range(len(passages)) if number not in found]
    departed = _decoded(loaded, [passages[k] for k in left], [forced[k][0] for k in left], start, n)
    found |= dict(zip(left, departed, strict=True))
    return [found[number] for number in range(len(passages))]


def _decoded(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    first: Sequence[Float[Tensor, " vocabulary"]],
    start: StartLane,
    n: int,
) -> list[Answer]:
    """All rows at once where padding leaves the model's numbers as they are, else one after the other."""
    known = dict(zip(map(id, passages), first, strict=True))

    def run(some: Sequence[Passage]) -> list[Answer]:
        made = _greedy(loaded, start(some), n, [known[id(passage)] for passage in some])
        return made or [found for one in some for found in _greedy(loaded, start([one]), n, None)]

    def alone(some: Sequence[Passage]) -> list[Answer]:
        return [found for one in some for found in _greedy(loaded, start([one]), n, None)]

    is_batched = "position_ids" in forward_arguments(loaded.model) and can_use_cache(loaded.model)
    return [one for made in in_batches(passages, run if is_batched else alone) for one in made]


def _greedy(
    loaded: LoadedModel, lane: AnswerLane, n: int, known: Sequence[Float[Tensor, " vocabulary"]] | None
) -> list[Answer]:
    """The answers of the lane's rows; none where its first logits are not those that are ``known`` of the rows."""
    logits = lane.prefill()
    if known is not None and not _are_close(loaded, logits, torch.stack([*known])):
        return []
    stops = stop_tokens(loaded)
    tokens: list[list[int]] = [[] for _ in logits]
    total = torch.zeros(len(logits), dtype=torch.float64)
    for step in range(n):
        log_p = logits.double().log_softmax(-1)
        best, said = (part.cpu() for part in log_p.max(-1))
        for row, token in enumerate(said.tolist()):
            if tokens[row] and tokens[row][-1] in stops:
                continue
            tokens[row].append(token)
            total[row] += best[row]
        if step + 1 == n or all(row[-1] in stops for row in tokens):
            break
        logits = lane.step([row[-1] for row in tokens])
    return [Answer(tuple(row), float(sum_)) for row, sum_ in zip(tokens, total, strict=True)]


def _are_close(
    loaded: LoadedModel, ours: Float[Tensor, "rows vocabulary"], known: Float[Tensor, "rows vocabulary"]
) -> bool:
    tolerance = _TOLERANCES.get(loaded.model.dtype, 5e-2) * float(known.abs().max())
    return bool((ours - known.to(ours.device)).abs().max() <= tolerance)


def is_right(text: str, answer: str) -> bool:
    """Whether ``text`` begins with ``answer``, whatever space is before it, and no word goes on there.

    >>> is_right(" Rome, the", "Rome"), is_right(" Romeo", "Rome"), is_right(" Not: Rome", "Rome")
    (True, False, False)
    """
    said, wanted = text.lstrip(), answer.strip()
    after = said[len(wanted) : len(wanted) + 1]
    return said.startswith(wanted) and not (after.isalnum() and wanted[-1:].isalnum())
