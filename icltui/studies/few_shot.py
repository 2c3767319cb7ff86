"""Study *few-shot*: how the update grows with the examples, and from which example on the answer no longer moves.

Each series is run example by example in three forms: as it is, reordered, and with the answers shuffled. Averaging
attention over exchangeable examples alone would give steps that fall as 1/i (:func:`averaging_slope`).
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from icltui.engine.contexts.prefix_steps import prefix_steps
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.prompt import trial_prompt
from icltui.engine.trial.trial import trial
from icltui.experiment.item_key import item_key
from icltui.studies.few_shot_summary import summarise_few_shot
from icltui.studies.statistics import line
from icltui.studies.study import Plain, StudyBase, StudyRow, prompts_for, rows_of_each
from icltui.tasks.example_series import ExampleSeries, example_series
from icltui.values import ModelInfo
from icltui.values.prompt import Prompt
from icltui.values.results import Summary


class FewShotRow(StudyRow, frozen=True):
    """One series in one form; of tuples over i, the entry at 0 is that without examples unless another is said."""

    family: str = ""
    form: str = ""
    """``task``, ``reordered`` or ``shuffled``."""
    n_examples: int = 0
    weight_steps: tuple[float, ...] = ()
    """‖W_{i+1} − W_i‖ / ‖W‖, the geometric mean over layers."""
    slope: float | None = None
    """Of log ‖W_{i+1} − W_i‖ on log i, i from 1, the mean over layers."""
    layer_slopes: tuple[float, ...] = ()
    null_slope: float | None = None
    """What averaging attention alone gives with as many other tokens as this prompt has."""
    net: tuple[float, ...] = ()
    """‖v_i − v_0‖ / ‖v_n − v_0‖, the mean over layers, i from 1."""
    log_p: tuple[float, ...] = ()
    """Of the answer's first token after i examples, in nats."""
    kl_to_full: tuple[float, ...] = ()
    """KL(all examples ‖ i examples) in nats."""
    right: tuple[bool, ...] = ()
    """Whether that token is the most probable one."""
    noise: float | None = None
    """The noise floor of a task with all examples: L∞ of logits between right runs through other kernels."""


@dataclass(frozen=True)
class SeriesItem:
    """One series in one form."""

    number: int
    form: str
    series: ExampleSeries

    @property
    def examples(self) -> tuple[str, ...]:
        """Those of the form."""
        return self.series.examples if self.form == "task" else getattr(self.series, self.form)


class FewShot(StudyBase):
    """See the module."""

    kind = "few-shot"
    usual_n = 48
    row_type = FewShotRow
    shows_not = (
        "A slope near −1 does not show gradient descent: averaging alone gives it.",
        "Only the answer's first token is followed, at the query's last token.",
        "Saturation within these few examples says nothing of hundreds of them.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, SeriesItem]]:  # noqa: ARG002
        """Three forms of each series."""
        found = example_series(prompts_for(model), self.n, self.settings.seed)
        items = [
            SeriesItem(number, form, series)
            for number, series in enumerate(found)
            for form in ("task", "reordered", "shuffled")
        ]
        return [
            (item_key(self.kind, model, [item.number, item.form, item.examples, item.series.query]), item)
            for item in items
        ]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, SeriesItem]]
    ) -> Iterator[Sequence[FewShotRow]]:
        """A row for each series and form."""
        assert engine.loaded is not None, "the engine holds the model whose items these are"
        loaded = engine.loaded
        return rows_of_each(FewShotRow, model, items, lambda item: [_row(loaded, model, item)])

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Slopes by form beside the null, and saturation."""
        plain: Sequence[Plain] = rows
        return self.summary(plain, *summarise_few_shot(plain, self.settings.seed))


def _row(loaded: LoadedModel, model: ModelInfo, item: SeriesItem) -> FewShotRow:
    joint = item.examples[0][-1]
    prompt = Prompt(
        context="".join(item.examples), query=item.series.query, unit="line" if joint == "\n" else joint
    )
    made = trial_prompt(loaded, prompt, item.series.answer)
    ids = made.ids
    steps, answer = prefix_steps(loaded, ids, made.answer[:1], model.path), made.answer[0]
    usable = [row for row in steps.weight_steps if all(step > 0 for step in row)]
    slopes = [slope_of_steps(row) for row in usable]
    n = len(item.examples)
    noise = None
    if item.form == "task":
        (checked,) = trial(loaded, [made], n_noise_runs=1)
        noise = checked.noise_floor
    other = (len(ids.prefix) + len(ids.query)) / (len(ids.context) / n)
    return FewShotRow(
        key="",
        number=item.number,
        family=item.series.family,
        form=item.form,
        n_examples=n,
        weight_steps=tuple(
            math.exp(statistics.fmean(map(math.log, some))) for some in zip(*usable, strict=True)
        ),
        slope=statistics.fmean(slopes) if slopes else None,
        layer_slopes=tuple(slopes),
        null_slope=averaging_slope(n, other),
        net=tuple(
            statistics.fmean(size / row[-1] for size, row in zip(some, steps.net_shift, strict=True))
            for some in zip(*steps.net_shift, strict=True)
        ),
        log_p=tuple(row[0] for row in steps.log_p),
        kl_to_full=steps.kl_to_full,
        right=tuple(top == answer for top in steps.top),
        noise=noise,
    )


def slope_of_steps(steps: Sequence[float]) -> float:
    """The slope of log steps[i] on log i, i from 1, of at least three steps.

    >>> round(slope_of_steps([9.0, 1.0, 1 / 2, 1 / 3]), 6)
    -1.0
    """
    slope = line([math.log(i) for i in range(1, len(steps))], [math.log(step) for step in steps[1:]]).slope
    assert slope is not None, "two steps or more"
    return slope


def averaging_slope(n: int, other: float = 0.0) -> float:
    """The slope that attention gives which averages uniformly, over ``n`` exchangeable examples.

    A_i = (c o + Σ_{j≤i} x_j) / (i + c), with x_j independent of spread σ around μ, and other tokens of c examples'
    weight whose values' mean o is as far from μ as an example is, ‖o − μ‖ = σ. Then A_{i+1} − A_i = (x_{i+1} − A_i) /
    (i + 1 + c), and E‖A_{i+1} − A_i‖² = σ² (1 + (i + c²)/(i + c)²) / (i + 1 + c)²: it falls as 1/i.

    >>> round(averaging_slope(10**5), 2)
    -1.0
    """
    expected = [math.sqrt(1 + (i + other**2) / (i + other) ** 2) / (i + 1 + other) for i in range(1, n)]
    return slope_of_steps([1.0, *expected])
