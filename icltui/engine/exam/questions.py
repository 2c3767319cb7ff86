"""The questions of an exam: unseen queries, answered by the model with the context and without it.

Enters: a spec with calibration and held-out queries, and true answers where there are any. Leaves:
:class:`Questions`, on which every patch is scored, and the :class:`~icltui.engine.exam.examinee.Material` that the
patches are made from. One pass over the context serves all of them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.exam.answers import Answer, answers, contextual_tokens, is_right, log_p_of
from icltui.engine.exam.examinee import Examinee, Material, no_patch
from icltui.engine.exam.score import forced_logits, kl_sum
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import PatchSpec, n_with_room
from icltui.engine.patch.calibration import Passage, PassageReader
from icltui.values import AnswersFrom, ExamQuery
from icltui.values.recipe import Recipe

MOST_ANSWER_TOKENS = 64
"""Of a true answer, which is compared no further."""


@dataclass(frozen=True)
class AnsweredQuery:
    """One unseen query."""

    passage: Passage
    wanted: tuple[int, ...]
    """The contextual answer's tokens."""
    record: ExamQuery


@dataclass(frozen=True)
class Questions:
    """The unseen queries of one context."""

    loaded: LoadedModel
    items: tuple[AnsweredQuery, ...]
    n_scored: int
    """Tokens of each answer whose distributions count."""
    n_answer: int
    """Tokens of each answer that are compared."""

    @property
    def passages(self) -> list[Passage]:
        return [item.passage for item in self.items]

    @property
    def records(self) -> tuple[ExamQuery, ...]:
        return tuple(item.record for item in self.items)

    @property
    def answers_from(self) -> AnswersFrom:
        """Whose answers count as right."""
        given = [record.answer is not None for record in self.records]
        return "file" if all(given) else "both" if any(given) else "context"


def n_answer_tokens(loaded: LoadedModel, recipe: Recipe, truths: Mapping[str, str]) -> int:
    """The tokens of an answer that are compared: the scored ones, and one more than any true answer has."""
    lengths = (len(loaded.tokenizer(text, add_special_tokens=False).input_ids) for text in truths.values())
    return max(recipe.n_fitted + 1, min(MOST_ANSWER_TOKENS, max(lengths, default=0) + 1))


def read_all(
    spec: PatchSpec,
    own_recipe: Recipe,
    texts: Sequence[str],
    truths: Mapping[str, str],
    on_progress: ProgressCallback,
) -> tuple[Material, Questions]:
    """The calibration's passages and the questions.

    ``spec`` is that of the ordinary patch, ``own_recipe`` the session's own; ``texts``: the spec's held-out queries.
    """
    n_fitted, n_answer = spec.recipe.n_fitted, n_answer_tokens(spec.loaded, spec.recipe, truths)
    rows = [
        *((ids, n_fitted) for ids in (spec.ids, *spec.calibration)),
        *((ids, n_answer) for ids in spec.holdout),
    ]
    reader, passages, seconds = PassageReader(spec.loaded, spec.sites, spec.positions, len(rows)), [], 0.0
    for number, (ids, n) in enumerate(rows):
        begin = time.perf_counter()
        still = partial(on_progress, "reading the contextual text", number, len(rows))
        passages.append(reader.read(ids, n_with_room(spec, ids, n), still))
        if 0 < number <= len(spec.calibration):
            seconds += time.perf_counter() - begin
    own, *others = passages
    n = len(spec.calibration)
    material = Material(replace(spec, recipe=own_recipe), own, tuple(others[:n]), seconds, spec)
    return material, ask(spec.loaded, others[n:], texts, truths, n_fitted + 1, n_answer, on_progress)


def ask(
    loaded: LoadedModel,
    passages: Sequence[Passage],
    texts: Sequence[str],
    truths: Mapping[str, str],
    n_scored: int,
    n_answer: int,
    on_progress: ProgressCallback,
) -> Questions:
    """The questions, with what the model says to them without a patch."""
    on_progress("answering without the context", 0, 1)
    kls, said, prior = [], [], []
    for passage, answer, logits in each_answer(loaded, passages, no_patch(loaded), n_answer):
        kls.append(kl_sum(passage, logits, n_scored))
        said.append(answer)
        prior.append(log_p_of(contextual_tokens(passage, n_answer), logits))
    items = []
    for text, passage, kl, answer, log_p in zip(texts, passages, kls, said, prior, strict=True):
        wanted, truth = contextual_tokens(passage, n_answer), truths.get(text)
        context = Answer(wanted, 0.0).text(loaded)
        record = ExamQuery(
            query=text,
            answer=truth,
            n_tokens=min(n_scored, len(passage.logits)),
            kl_plain=finite_or_none(kl),
            context=context,
            plain=answer.text(loaded),
            right_context=truth is None or is_right(context, truth),
            right_plain=judge(loaded, wanted, truth, answer),
            prior_margin=finite_or_none(answer.log_p - log_p),
        )
        items.append(AnsweredQuery(passage, wanted, record))
    return Questions(loaded, tuple(items), n_scored, n_answer)


def judge(loaded: LoadedModel, wanted: Sequence[int], truth: str | None, answer: Answer) -> bool:
    """Whether ``answer`` is right: the true one where that is known, else token by token the contextual one."""
    return tuple(wanted) == answer.tokens if truth is None else is_right(answer.text(loaded), truth)


def each_answer(
    loaded: LoadedModel, passages: Sequence[Passage], examinee: Examinee, n: int
) -> Iterator[tuple[Passage, Answer, Float[Tensor, "_tokens vocabulary"]]]:
    """Each passage with the examinee's answer of ``n`` tokens and its logits on the contextual answer."""
    for some, forced in forced_logits(loaded, passages, examinee.acting):
        yield from zip(some, answers(loaded, some, forced, examinee.start, n), forced, strict=True)
