"""Study *override*: contexts that contradict what the model knows, and the belief law that is said to rule them.

Log-odds are log p(context's answer) − log p(right answer). The law (Bigelow et al. 2025, arXiv 2511.00617) is log-odds
= b + γ f(N) + a α: N statements before the query, and a patch of strength α. Two grids of N and α: a patch of N
statements without them (the trial's), and one fixed patch, held in the weights beside N statements.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from msgspec.structs import replace

from icltui.engine.contexts.held_patch import HeldPrompt, held_patch_grid
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids, tokenize
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.engine.trial.trial import trial
from icltui.experiment.item_key import item_key
from icltui.studies.override_summary import summarise_override
from icltui.studies.study import Plain, StudyBase, StudyRow, rows_of_each
from icltui.tasks.contradictions import Contradiction, contradictions
from icltui.values import ModelInfo
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.results import Summary
from icltui.values.trial import TrialPatch, TrialResult, TrialScore

COUNTS = (1, 2, 4, 8)
"""N, numbers of statements."""
HELD_COUNTS = (0, 1, 2, 4)
"""N beside the fixed patch."""
SOURCE = 4
"""Statements that the fixed patch is made of; also those of the controls."""
ALPHAS = (0.0, 0.25, 0.5, 1.0)
_PATCHES = (
    *(TrialPatch(mode="frozen", alpha=alpha) for alpha in ALPHAS[1:]),
    TrialPatch(mode="frozen", control="random"),
)


class OverrideRow(StudyRow, frozen=True):
    """One fact after one context, or through one patch."""

    topic: str = ""
    query: str = ""
    own: str = ""
    """The right answer."""
    said: str = ""
    """The context's."""
    margin: float | None = None
    """m₀ = log p₀(right) − log p₀(said), without a context."""
    knows: bool | None = None
    """Whether the right answer is the most probable one without a context."""
    grid: str = ""
    """``context``: N statements. ``mention``: N statements of the same answer for another subject. ``shuffled``: the
    tokens of N statements. ``patch``: a patch of N statements, without them. ``random``: the same in random directions.
    ``held``: the fixed patch beside N statements. ``held random``: the same in random directions."""
    n: int = 0
    """N."""
    alpha: float = 0.0
    """Strength of the patch; 0 without one."""
    log_p_own: float | None = None
    """Log-probability of the right answer, in nats."""
    log_p_said: float | None = None
    """The same of the context's."""
    says: bool | None = None
    """Whether the context's answer is the most probable one; None where that is not known."""
    noise: float | None = None
    """Noise floor of the controls' run with the context, in logits."""


class _Answers(NamedTuple):
    """The right answer and the context's, or what is of each."""

    own: tuple[int, ...]
    said: tuple[int, ...]


@dataclass(frozen=True)
class FactItem:
    """One fact, and the seed of its controls."""

    number: int
    fact: Contradiction
    seed: int


class Override(StudyBase):
    """See the module."""

    kind = "override"
    usual_n = 48
    row_type = OverrideRow
    shows_not = (
        "Statements are one sentence repeated: other evidence, argued or sourced, is not asked.",
        "A law that fits these few N and α shows nothing of other ones.",
        "The patch is of all layers at once; which layer holds a belief is not asked.",
        "Not every right answer is known to a small model: rows of m₀ below 0 are of facts that it has otherwise.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, FactItem]]:  # noqa: ARG002
        """One item for each fact.

        Raises:
            BadInput: more than there are.
        """
        seed = self.settings.seed
        found = [FactItem(number, fact, seed) for number, fact in enumerate(contradictions(self.n, seed))]
        if len(found) < self.n:
            raise BadInput(f"{self.n} facts are asked for and {len(found)} are known: ask for fewer")
        return [(item_key(self.kind, model, asdict(item)), item) for item in found]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, FactItem]]
    ) -> Iterator[Sequence[OverrideRow]]:
        """A row for each cell of a fact's grids and each control."""
        assert engine.loaded is not None, "the engine holds the model whose items these are"
        loaded = engine.loaded
        return rows_of_each(OverrideRow, model, items, lambda item: _rows(loaded, item))

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Success by N and by margin, and the belief law on both grids."""
        plain: Sequence[Plain] = rows
        return self.summary(plain, *summarise_override(plain, self.settings.seed))


def _rows(loaded: LoadedModel, item: FactItem) -> list[OverrideRow]:
    fact = item.fact
    ids = _statement(loaded, fact.query, fact.statement)
    mention = _statement(loaded, fact.query, fact.mention)
    if (mention.prefix, mention.query) != (ids.prefix, ids.query):
        raise BadInput(f"the query {fact.query!r} has other tokens after another line: use another tokenizer")
    answers = _Answers(
        *(trial_prompt(loaded, Prompt(query=fact.query), text).answer for text in (fact.own, fact.said))
    )
    found = _trials(loaded, ids, answers, [ids.context * n for n in COUNTS], item, _PATCHES)
    own, said = (found[0][k].plain for k in range(2))
    assert own is not None, "what failed has raised"
    assert said is not None, "what failed has raised"
    row = OverrideRow(
        key="",
        number=item.number,
        topic=fact.topic,
        query=fact.query,
        own=fact.own,
        said=fact.said,
        margin=None
        if own.answer_log_p is None or said.answer_log_p is None
        else own.answer_log_p - said.answer_log_p,
        knows=own.answer_is_top,
    )
    rows = [_scored(row, "context", 0, 0.0, own, said)]
    for n, pair in zip(COUNTS, found, strict=True):
        rows.append(_with_context(row, "context", n, pair))
        for k, alpha in enumerate(ALPHAS[1:]):
            rows.append(_scored(row, "patch", n, alpha, *(one.patches[k] for one in pair)))
        rows.append(_scored(row, "random", n, 1.0, *(one.patches[-1] for one in pair)))
    chance = random.Random(f"shuffled {item.seed} {item.number}")
    mixed = tuple(chance.sample(ids.context * SOURCE, len(ids.context) * SOURCE))
    controls = [mention.context, mention.context * SOURCE, mixed]
    names = (("mention", 1), ("mention", SOURCE), ("shuffled", SOURCE))
    checked = _trials(loaded, ids, answers, controls, item, n_noise_runs=1)
    for (name, n), pair in zip(names, checked, strict=True):
        rows.append(replace(_with_context(row, name, n, pair), noise=pair[1].noise_floor))
    return rows + _held(loaded, ids, answers, item, row)


def _statement(loaded: LoadedModel, query: str, line: str) -> Ids:
    return tokenize(loaded, Prompt(context=line, query=query))[0]


def _trials(
    loaded: LoadedModel,
    ids: Ids,
    answers: _Answers,
    contexts: Sequence[tuple[int, ...]],
    item: FactItem,
    patches: Sequence[TrialPatch] = (),
    n_noise_runs: int = 0,
) -> list[list[TrialResult]]:
    """For each context the results of both answers.

    Raises:
        BadInput: a prompt failed.
    """
    prompts = [_prompt(ids, context, answer, item) for context in contexts for answer in answers]
    found = sorted(trial(loaded, prompts, patches, n_noise_runs=n_noise_runs), key=lambda one: one.index)
    if failed := [one.error for one in found if one.error]:
        raise BadInput(failed[0])
    return [found[k : k + 2] for k in range(0, len(found), 2)]


def _prompt(ids: Ids, context: tuple[int, ...], answer: tuple[int, ...], item: FactItem) -> TrialPrompt:
    return TrialPrompt(
        Ids(ids.prefix, context, ids.query, (0, len(context))), answer, seed=item.seed + item.number
    )


def _with_context(row: OverrideRow, grid: str, n: int, pair: Sequence[TrialResult]) -> OverrideRow:
    own, said = (one.context for one in pair)
    assert own is not None, "what failed has raised"
    assert said is not None, "what failed has raised"
    return _scored(row, grid, n, 0.0, own, said)


def _scored(
    row: OverrideRow, grid: str, n: int, alpha: float, own: TrialScore, said: TrialScore
) -> OverrideRow:
    return replace(
        row,
        grid=grid,
        n=n,
        alpha=alpha,
        log_p_own=own.answer_log_p,
        log_p_said=said.answer_log_p,
        says=said.answer_is_top,
    )


def _held(
    loaded: LoadedModel, ids: Ids, answers: _Answers, item: FactItem, row: OverrideRow
) -> list[OverrideRow]:
    """The fixed patch beside N statements, and one of the same norms in random directions at full strength."""
    contexts = tuple(ids.context * n for n in HELD_COUNTS)
    prompts = [HeldPrompt(_prompt(ids, ids.context * SOURCE, answer, item), contexts) for answer in answers]
    rows = []
    for grid, alphas in (("held", ALPHAS), ("held random", (1.0,))):
        own, said = held_patch_grid(loaded, prompts, alphas, is_random=grid != "held")
        rows += [
            replace(row, grid=grid, n=n, alpha=alpha, log_p_own=own[k][i], log_p_said=said[k][i])
            for k, n in enumerate(HELD_COUNTS)
            for i, alpha in enumerate(alphas)
        ]
    return rows
