"""The steering study: ΔW at one layer at a time in the context's place, of a strength of its own for each prompt.

Enters: templated prompts. Leaves: for each prompt, layer and patch a :class:`SteeringRow`: how far the logits are from
those with the context, without the patch and with it. The experiment of a published GPT-2 demonstration with what it
lacked: different prompts, controls with the same search, every layer, strengths judged where they were not chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from msgspec.structs import replace

from icltui.engine.hooks.site import Site
from icltui.engine.local import LocalEngine
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.engine.trial.row_heuristic import has_heuristic
from icltui.engine.trial.trial import trial
from icltui.studies.steering_summary import summarise_steering
from icltui.studies.study import StudyBase, StudyRow
from icltui.studies.templated_prompts import PromptItem, prompt_items
from icltui.values import ModelInfo
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.results import Summary
from icltui.values.trial import TrialPatch, TrialResult, TrialScore

MOST_LAYERS = 6
"""Of a deeper model so many layers are taken, evenly spread, the last one among them."""
N_AT_ONCE = 16
"""Prompts whose rows are given at once."""


class SteeringRow(StudyRow, frozen=True):
    """One prompt through one patch of one layer; errors are against the logits with the context."""

    template: str = ""
    context: str = ""
    query: str = ""
    layer: int = 0
    patch: str = ""
    """``ΔW``; the controls ``random`` and ``shuffled``; ``heuristic``, the demonstration's own."""
    alpha: float | None = None
    """The strength that the search chose on this prompt."""
    mse_plain: float | None = None
    """Mean squared error of the centred logits at the query's last token, without a patch."""
    mse: float | None = None
    """Through the patch of that strength."""
    kl_plain: float | None = None
    """KL(context ‖ plain) in nats."""
    kl: float | None = None
    later_mse_plain: float | None = None
    """The same after the answer's first token, on which nothing was chosen."""
    later_mse: float | None = None
    later_kl_plain: float | None = None
    later_kl: float | None = None
    grid: tuple[float, ...] = ()
    """Strengths that are tried on every prompt."""
    grid_mse: tuple[float, ...] = ()
    """The error at each."""
    grid_kl: tuple[float, ...] = ()
    noise_floor: float | None = None
    """L∞ of a right run through other kernels, in logits."""


@dataclass(frozen=True)
class Steering(StudyBase):
    """See the module."""

    kind: ClassVar[str] = "steering"
    usual_n: ClassVar[int] = 80
    row_type: ClassVar[type[SteeringRow]] = SteeringRow
    shows_not: ClassVar[tuple[str, ...]] = (
        "A strength that is chosen on a prompt's own logits can only help there: any direction then improves most "
        "prompts, as the random control shows. Only the drop beyond the controls' counts.",
        "The patch of a prompt is made from the same prompt's context: nothing here says that it serves another query.",
        "The mean squared error counts every token of the vocabulary alike, most of which are never said; read the "
        "KL beside it.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, PromptItem]]:  # noqa: ARG002
        """The prompts.

        Raises:
            BadInput: more than can be made.
        """
        return prompt_items(self, model)

    def run(
        self,
        engine: LocalEngine,
        model: ModelInfo,
        items: Sequence[tuple[str, PromptItem]],
    ) -> Iterator[Sequence[SteeringRow]]:
        """The rows of each prompt, some prompts at a time."""
        loaded = engine.loaded
        assert loaded is not None, "the model is loaded before its items run"
        asked = _asked(loaded.sites)
        for begin in range(0, len(items), N_AT_ONCE):
            some = items[begin : begin + N_AT_ONCE]
            ready: list[tuple[str, PromptItem]] = []
            prompts: list[TrialPrompt] = []
            for key, item in some:
                try:
                    text = Prompt(context=item.prompt.context, query=item.prompt.query)
                    prompts.append(trial_prompt(loaded, text, item.prompt.answer, self._seed(item)))
                    ready.append((key, item))
                except BadInput as error:
                    failed = SteeringRow(key=key, number=item.number, error=" ".join(str(error).split()))
                    yield _of_model(model, [failed])
            for result in trial(loaded, prompts, [patch for _, _, patch in asked], n_noise_runs=1):
                yield _of_model(model, _rows(*ready[result.index], asked, result))

    def _seed(self, item: PromptItem) -> int:
        return self.settings.seed * 1_000_003 + item.number

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Per layer and patch: who improves, by how much, and what of it holds where nothing was chosen."""
        return self.summary(rows, *summarise_steering(rows))


def spread_layers(layers: Sequence[int]) -> list[int]:
    """All of a few layers; of more, :data:`MOST_LAYERS` at even distances, the last one among them.

    >>> spread_layers(range(30))
    [4, 9, 14, 19, 24, 29]
    """
    n = len(layers)
    if n <= MOST_LAYERS:
        return [*layers]
    return [layers[round((k + 1) * n / MOST_LAYERS) - 1] for k in range(MOST_LAYERS)]


def _of_model(model: ModelInfo, rows: Sequence[SteeringRow]) -> list[SteeringRow]:
    return [replace(row, model=model.name, revision=model.revision) for row in rows]


Asked = tuple[int, str, TrialPatch]
"""A layer, the patch's name, the patch."""


def _asked(sites: Sequence[Site]) -> list[Asked]:
    by_layer = {site.layer: site for site in sites}
    common: dict[str, Any] = {"mode": "frozen", "components": "weights", "alpha": "search"}
    asked: list[Asked] = []
    for layer in spread_layers([*by_layer]):
        common["layers"] = (layer,)
        asked.append((layer, "ΔW", TrialPatch(**common)))
        asked.append((layer, "random", TrialPatch(**common, control="random", seed=layer)))
        asked.append((layer, "shuffled", TrialPatch(**common, control="shuffled", seed=layer)))
        if has_heuristic(by_layer[layer]):
            asked.append((layer, "heuristic", TrialPatch(**common, rule="unembedding")))
    return asked


def _rows(key: str, item: PromptItem, asked: Sequence[Asked], result: TrialResult) -> list[SteeringRow]:
    if result.error is not None or result.plain is None:
        return [SteeringRow(key=key, number=item.number, error=result.error)]
    return [
        _row(key, part, item, layer, name, result, score)
        for part, ((layer, name, _), score) in enumerate(zip(asked, result.patches, strict=True))
    ]


def _row(
    key: str, part: int, item: PromptItem, layer: int, name: str, result: TrialResult, score: TrialScore
) -> SteeringRow:
    plain = result.plain
    assert plain is not None
    known = [(alpha, mse, kl) for alpha, mse, kl in score.curve if mse is not None and kl is not None]
    return SteeringRow(
        key=key,
        part=part,
        number=item.number,
        template=item.prompt.template,
        context=item.prompt.context,
        query=item.prompt.query,
        layer=layer,
        patch=name,
        alpha=score.alpha,
        mse_plain=plain.centred_mse,
        mse=score.centred_mse,
        kl_plain=plain.kl,
        kl=score.kl,
        later_mse_plain=plain.later_centred_mse,
        later_mse=score.later_centred_mse,
        later_kl_plain=plain.later_kl,
        later_kl=score.later_kl,
        grid=tuple(alpha for alpha, _, _ in known),
        grid_mse=tuple(mse for _, mse, _ in known),
        grid_kl=tuple(kl for _, _, kl in known),
        noise_floor=result.noise_floor,
    )
