"""One query after each of several contexts: what the query's last token becomes, and what is said after it.

Enters: sets of contexts, as ids, each with one query. Leaves: for each set, how pairs of its contexts act together and
what each step of a sequence adds, as plain numbers; rows of one shape run as a batch, over all sets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.contexts.differences import (
    Layers,
    PairNumbers,
    layer_values,
    pair_numbers,
    step_norms,
)
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.prompt_check import check_known, check_length
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.batch import Batch, last_of_rows
from icltui.engine.trial.batching import Numbered, groups_of_equal_shape, rows_at_once
from icltui.engine.trial.prompt import TrialPrompt

Tokens = tuple[int, ...]
N_NOISE_TOKENS = 8
"""So many tokens more make the row of a noise floor, after which other kernels may run."""


class ContextPair(NamedTuple):
    """Indices of the contexts A, B, AB and BA."""

    first: int
    second: int
    both: int
    reverse: int


@dataclass(frozen=True)
class ContextSet:
    """The contexts of one query."""

    prefix: Tokens
    query: Tokens
    contexts: tuple[Tokens, ...]
    answers: tuple[Tokens, ...]
    """What may follow the query; each is scored whole."""
    pairs: tuple[ContextPair, ...] = ()
    chain: tuple[int, ...] = ()
    """Indices of contexts each of which is the one before it and more."""

    @property
    def by_read(self) -> dict[Tokens, Tokens]:
        """An answer for each beginning that is read before an answer's last token: such answers share a run."""
        return {answer[:-1]: answer for answer in self.answers}


@dataclass(frozen=True)
class ContextSetNumbers:
    """What the contexts do."""

    log_p: tuple[tuple[float | None, ...], ...]
    """Log-probability in nats of each answer: without a context, then after each of them."""
    pairs: tuple[PairNumbers, ...]
    steps: tuple[Layers, ...]
    """‖δ_k − δ_{k−1}‖ by layer for each context of the chain, δ_0 = 0."""
    noise: Layers
    """‖z′ − z‖ of the longest context between two right runs, over ‖z − z without a context‖, by layer."""


class _State(NamedTuple):
    """One row's."""

    z: Float[Tensor, "layers hidden"]
    log_p: Float[Tensor, "positions vocabulary"]
    """After the query's last token and after each token of an answer that is read."""

    def said(self, answer: Tokens) -> Float[Tensor, ""]:
        """Log-probability of an answer of which the row reads all tokens but the last."""
        return self.log_p[range(len(answer)), list(answer)].sum()


@torch.inference_mode()
def combine_contexts(loaded: LoadedModel, sets: Sequence[ContextSet]) -> list[ContextSetNumbers]:
    """The numbers of each set.

    Raises:
        IcltuiError: a row is too long, or its logits are not finite.
    """
    rows = [row for one in sets for row in _rows(one)]
    for row in rows:
        whole = Ids(row.ids.prefix, row.ids.context, (*row.ids.query, *row.answer), row.ids.ends)
        check_known(loaded, whole)
        check_length(loaded, whole)
    states: dict[int, _State] = {}
    for group in groups_of_equal_shape(rows):
        size, left = rows_at_once(loaded, loaded.sites, group), group
        while left:
            found, size = run_as_fits(partial(_run, loaded, left), min(size, len(left)), "rows")
            states.update(found)
            left = left[len(found) :]
    ordered = iter(states[index] for index in range(len(rows)))
    return [_numbers(one, ordered) for one in sets]


def _rows(one: ContextSet) -> Iterator[TrialPrompt]:
    """Every context with what is read of answers, the first context being none; the longest one, with more tokens."""

    def row(context: Tokens, answer: Tokens) -> TrialPrompt:
        return TrialPrompt(Ids(one.prefix, context, one.query, (0, len(context))), answer)

    for context in ((), *one.contexts):
        for answer in one.by_read.values():
            yield row(context, answer)
    yield row(max(one.contexts, key=len), one.query[-1:] * (N_NOISE_TOKENS + 1))


def _run(loaded: LoadedModel, rows: Sequence[Numbered], n: int) -> dict[int, _State]:
    some = rows[:n]
    batch = Batch(loaded, loaded.sites, [row for _, row in some])
    logits, capture = batch.contextual
    last = last_of_rows(batch.n_rows, batch.n_targets, 1, batch.n_forced).flatten()
    z = capture.targets(loaded.sites).z
    z = z[:, last.to(z.device)]
    log_p = logits.log_softmax(-1)
    return {index: _State(z[:, k].clone(), log_p[k].clone()) for k, (index, _) in enumerate(some)}


def _numbers(one: ContextSet, states: Iterator[_State]) -> ContextSetNumbers:
    """The numbers of a set from the states of its rows, in the order of :func:`_rows`."""
    table = [{read: next(states) for read in one.by_read} for _ in range(len(one.contexts) + 1)]
    again = next(states).z
    z = torch.stack([next(iter(row.values())).z for row in table])
    deltas = z[1:] - z[0]
    longest = max(range(len(one.contexts)), key=lambda k: len(one.contexts[k]))
    noise = (again - z[1 + longest]).double().norm(dim=-1) / deltas[longest].double().norm(dim=-1)
    return ContextSetNumbers(
        log_p=tuple(
            tuple(finite_or_none(row[answer[:-1]].said(answer)) for answer in one.answers) for row in table
        ),
        pairs=tuple(pair_numbers(*(deltas[k] for k in pair)) for pair in one.pairs),
        steps=tuple(step_norms(deltas[[*one.chain]])) if one.chain else (),
        noise=layer_values(noise),
    )
