"""Whether parts of a context add up, and whether their order matters, at the query's last token.

Enters: a query and the parts of a context, as ids. Leaves: for each layer, norms of sums and differences of
δ(X) = v(X, query) − v(query), as plain numbers; δ(AB) is of the context A followed by B.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.batch import Batch, last_of_rows
from icltui.engine.trial.batching import groups_of_equal_shape, rows_at_once
from icltui.engine.trial.prompt import TrialPrompt

Part = tuple[int, ...]


@dataclass(frozen=True)
class Parts:
    """A query after several parts of a context."""

    prefix: Part
    parts: tuple[Part, ...]
    query: Part
    tokens: tuple[int, ...] = ()
    """Possible next tokens whose log-probabilities are wanted."""

    @property
    def contexts(self) -> list[Part]:
        """None, each part alone, the first two and more in order, all in reverse order."""
        joined = [sum(self.parts[: k + 1], ()) for k in range(1, len(self.parts))]
        return [(), *self.parts, *joined, sum(reversed(self.parts), ())]


@dataclass(frozen=True)
class Combination:
    """How the parts act together; a number for each layer."""

    layers: tuple[int, ...]
    sizes: tuple[tuple[float, ...], ...]
    """‖δ‖ of each part alone."""
    added: tuple[tuple[float, ...], ...]
    """‖δ(first k parts) − δ(first k − 1)‖ for each k."""
    whole: tuple[float, ...]
    """‖δ‖ of all parts in order."""
    interaction: tuple[float, ...]
    """‖δ(AB…) − δ(A) − δ(B) − …‖ / ‖δ(AB…)‖."""
    order: tuple[float, ...]
    """‖δ(AB…) − δ(…BA)‖ / ‖δ(AB…)‖."""
    log_p: tuple[tuple[float, ...], ...]
    """Log-probabilities of the wanted tokens after none, each part alone, the first two and more, the reverse."""
    top: tuple[int, ...]
    """The most probable token after each of these."""


@torch.inference_mode()
def combine(loaded: LoadedModel, prompts: Sequence[Parts]) -> list[Combination]:
    """The combination of each prompt's parts; contexts of one shape run together.

    Raises:
        IcltuiError: a row is too long, or its logits are not finite.
    """
    rows = [
        TrialPrompt(Ids(one.prefix, context, one.query, (0, len(context))))
        for one in prompts
        for context in one.contexts
    ]
    states: list[tuple[Tensor, Tensor]] = [(torch.empty(0), torch.empty(0))] * len(rows)
    for index, v, log_p in last_states(loaded, rows):
        states[index] = (v, log_p)
    found, begin = [], 0
    for one in prompts:
        end = begin + len(one.contexts)
        v, log_p = (torch.stack(parts) for parts in zip(*states[begin:end], strict=True))
        found.append(_combination(loaded, one, v, log_p))
        begin = end
    return found


def last_states(
    loaded: LoadedModel, prompts: Sequence[TrialPrompt]
) -> Iterator[tuple[int, Float[Tensor, "layers hidden"], Float[Tensor, " vocabulary"]]]:
    """Index, v at the query's last token, and the log-probabilities after it, of each prompt with its context."""
    for group in groups_of_equal_shape(prompts):
        size = rows_at_once(loaded, loaded.sites, group)
        for begin in range(0, len(group), size):
            some = group[begin : begin + size]
            batch = Batch(loaded, loaded.sites, [prompt for _, prompt in some])
            logits, capture = batch.contextual
            last = last_of_rows(batch.n_rows, batch.n_targets, 1).flatten()
            v = capture.targets(loaded.sites).v[:, last.to(logits.device)]
            for row, (index, _) in enumerate(some):
                yield index, v[:, row].clone(), logits[row, 0].log_softmax(-1)


def _combination(
    loaded: LoadedModel,
    one: Parts,
    v: Float[Tensor, "contexts layers hidden"],
    log_p: Float[Tensor, "contexts vocabulary"],
) -> Combination:
    n = len(one.parts)
    delta = v[1:] - v[0]
    alone, reverse = delta[:n], delta[-1]
    growing = torch.cat([torch.zeros_like(delta[:1]), delta[:1], delta[n : 2 * n - 1]])
    whole = growing[-1]
    size = whole.norm(dim=-1)
    return Combination(
        layers=tuple(site.layer for site in loaded.sites),
        sizes=_rows(alone.norm(dim=-1)),
        added=_rows(growing.diff(dim=0).norm(dim=-1)),
        whole=tuple(size.tolist()),
        interaction=tuple(((whole - alone.sum(0)).norm(dim=-1) / size).tolist()),
        order=tuple(((whole - reverse).norm(dim=-1) / size).tolist()),
        log_p=_rows(log_p[:, list(one.tokens)]),
        top=tuple(log_p.argmax(-1).tolist()),
    )


def _rows(numbers: Float[Tensor, "rows columns"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in numbers.tolist())
