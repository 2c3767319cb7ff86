"""Study *relevance*: does the size of the context's change, or its focus, tell a good context from a bad one?

Each question comes after a relevant, a tangential and an irrelevant context and after random tokens, all cut from the
left to one number of tokens.
"""

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from icltui.engine.contexts.prefix_steps import prefix_steps
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.engine.trial.trial import trial
from icltui.experiment.item_key import item_key
from icltui.studies.relevance_summary import summarise_relevance
from icltui.studies.statistics import gini
from icltui.studies.study import Plain, StudyBase, StudyRow, prompts_for, rows_of_each
from icltui.tasks.stories import StoryQuestion, story_questions
from icltui.values import ModelInfo
from icltui.values.prompt import Prompt
from icltui.values.results import Summary


class RelevanceRow(StudyRow, frozen=True):
    """One question after one context."""

    context: str = ""
    """``relevant``, ``tangential``, ``irrelevant`` or ``random``."""
    n_tokens: int = 0
    """Of the context: of all contexts of one question alike."""
    size: float | None = None
    """‖δ‖ / ‖v‖ at the query's last token, the mean over layers; δ = v_C − v."""
    layer_sizes: tuple[float, ...] = ()
    focus: float | None = None
    """Gini coefficient of ‖δ_t‖ over the context's tokens, the mean over layers: 0 for all alike."""
    layer_focus: tuple[float, ...] = ()
    gain: float | None = None
    """log p(answer | context) − log p(answer), of its first token, in nats."""
    change: float | None = None
    """KL(with the context ‖ without) in nats."""
    right: bool | None = None
    """Whether that token is the most probable one with the context."""
    noise: float | None = None
    """The noise floor after the relevant context: L∞ of logits between right runs through other kernels."""


@dataclass(frozen=True)
class QuestionItem:
    """One question with all its contexts."""

    number: int
    question: StoryQuestion
    seed: int


class Relevance(StudyBase):
    """See the module."""

    kind = "relevance"
    usual_n = 60
    row_type = RelevanceRow
    shows_not = (
        "Contexts of other kinds, such as passages that a search found, may rank otherwise.",
        "A correlation over all contexts is not one within them: it can be ruled by the random ones.",
        "Gain is of the answer that the relevant context states; that answer is no better than another elsewhere.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, QuestionItem]]:  # noqa: ARG002
        """One item for each question."""
        questions = story_questions(prompts_for(model), self.n, self.settings.seed)
        items = [QuestionItem(number, one, self.settings.seed) for number, one in enumerate(questions)]
        return [(item_key(self.kind, model, item), item) for item in items]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, QuestionItem]]
    ) -> Iterator[Sequence[RelevanceRow]]:
        """A row for each context of each question."""
        assert engine.loaded is not None, "the engine holds the model whose items these are"
        loaded = engine.loaded
        return rows_of_each(RelevanceRow, model, items, lambda item: _rows(loaded, model, item))

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Sizes and gains by context, and rank correlations."""
        plain: Sequence[Plain] = rows
        return self.summary(plain, *summarise_relevance(plain, self.settings.seed))


def _rows(loaded: LoadedModel, model: ModelInfo, item: QuestionItem) -> list[RelevanceRow]:
    prompts = context_prompts(loaded, item)
    (checked,) = trial(loaded, [prompts["relevant"]], n_noise_runs=1)
    rows = []
    for name, prompt in prompts.items():
        steps = prefix_steps(loaded, prompt.ids, prompt.answer[:1], model.path)
        sizes = tuple(net[-1] / norm for net, norm in zip(steps.net_shift, steps.stream_norms, strict=True))
        focus = tuple(gini(row) or 0.0 for row in steps.shift_steps)
        rows.append(
            RelevanceRow(
                key="",
                number=item.number,
                context=name,
                n_tokens=len(prompt.ids.context),
                size=statistics.fmean(sizes),
                layer_sizes=sizes,
                focus=statistics.fmean(focus),
                layer_focus=focus,
                gain=steps.log_p[-1][0] - steps.log_p[0][0],
                change=steps.kl_to_full[0],
                right=steps.top[-1] == prompt.answer[0],
                noise=checked.noise_floor if name == "relevant" else None,
            )
        )
    return rows


def context_prompts(loaded: LoadedModel, item: QuestionItem) -> dict[str, TrialPrompt]:
    """Each context's prompt, a unit for each token, all of one length."""
    question = item.question
    made = {
        name: trial_prompt(loaded, Prompt(context=context, query=question.query), question.answer)
        for name, context in question.contexts.items()
    }
    length = min(len(one.ids.context) for one in made.values())
    cut = {name: _cut(one, one.ids.context[-length:]) for name, one in made.items()}
    one = next(iter(cut.values()))
    return {**cut, "random": _cut(one, _random_tokens(loaded, length, f"{item.seed} {item.number}"))}


def _cut(prompt: TrialPrompt, context: tuple[int, ...]) -> TrialPrompt:
    ids = Ids(prompt.ids.prefix, context, prompt.ids.query, tuple(range(len(context) + 1)))
    return TrialPrompt(ids, prompt.answer[:1])


def _random_tokens(loaded: LoadedModel, n: int, seed: str) -> tuple[int, ...]:
    """Tokens of the vocabulary, drawn evenly; no special ones."""
    special = set(loaded.tokenizer.all_special_ids)
    usual = [token for token in range(len(loaded.tokenizer)) if token not in special]
    return tuple(random.Random(f"tokens {seed}").choices(usual, k=n))
