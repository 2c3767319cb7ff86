"""What the rows of the study *training* add up to: marks of each checkpoint, and the loss over position and step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from statistics import fmean
from typing import Any

from icltui.studies.statistics import mean_interval, said
from icltui.studies.study import by_number
from icltui.values.results import Cell, FigureSeries, Summary, SummaryFigure, SummaryTable

Grid = tuple[tuple[float | None, ...], ...]
"""A row for each checkpoint, a column for each bin of positions."""


def summarise_training(
    rows: Sequence[Mapping[str, object]], question: str, shows_not: tuple[str, ...]
) -> Summary:
    """Tables, sentences and figures, one training after the other."""
    good: list[Mapping[str, Any]] = [row for row in rows if row["error"] is None]
    trainings = [
        _Checkpoints(name, [row for row in good if row["model"] == name])
        for name in sorted({row["model"] for row in good}, key=by_number)
    ]
    return Summary(
        title="Training: when a model begins to learn in context",
        question=question,
        answer=tuple(sentence for training in trainings for sentence in training.sentences()),
        shows_not=shows_not,
        tables=tuple(table for training in trainings for table in training.tables()),
        figures=tuple(figure for training in trainings for figure in training.figures()),
        n_rows=len(rows),
        n_failed=len(rows) - len(good),
    )


def bins(n: int) -> list[tuple[int, int]]:
    """Ranges of positions from 1 to ``n``, each twice as long as the one before.

    >>> bins(10)
    [(1, 1), (2, 2), (3, 4), (5, 8), (9, 10)]
    """
    ends = [1, *(2**k for k in range(1, n.bit_length()) if 2**k < n)]
    ends += [n] if n > 1 else []
    return list(zip([1, *(end + 1 for end in ends[:-1])], ends, strict=True))


def icl_score(loss: Sequence[float | None]) -> float | None:
    """Mean loss of the last tenth of the positions less that of the first; None where there are none."""
    tenth = len(loss) // 10
    first, last = (
        [value for value in part if value is not None] for part in (loss[:tenth], loss[len(loss) - tenth :])
    )
    return fmean(last) - fmean(first) if first and last and tenth else None


def log_slopes(levels: Sequence[float | None], centres: Sequence[float]) -> tuple[float | None, ...]:
    """Differences of neighbouring levels over the difference of the logarithms of their centres."""
    return tuple(
        None if a is None or b is None else (b - a) / log(to / begin)
        for a, b, begin, to in zip(levels, levels[1:], centres, centres[1:], strict=False)
    )


@dataclass(frozen=True)
class _Checkpoint:
    name: str
    step: int | None
    rows: Sequence[Mapping[str, Any]]

    def of(self, what: str) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["what"] == what]

    @property
    def scores(self) -> list[float]:
        return [score for row in self.of("text") if (score := icl_score(row["loss"])) is not None]

    def levels(self) -> tuple[float | None, ...]:
        """Mean loss in each bin, over texts and positions."""
        losses = [row["loss"] for row in self.of("text")]
        if not losses:
            return ()
        levels = []
        for first, last in bins(len(losses[0])):
            known = [value for loss in losses for value in loss[first - 1 : last] if value is not None]
            levels.append(fmean(known) if known else None)
        return tuple(levels)

    def mean(self, what: str, *names: str) -> float | None:
        """Mean of the first name's values, less the second's."""
        values = [
            row[names[0]] - (row[names[1]] if names[1:] else 0)
            for row in self.of(what)
            if all(row[name] is not None for name in names)
        ]
        return fmean(values) if values else None


@dataclass(frozen=True)
class _Checkpoints:
    """The rows of one training."""

    model: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def checkpoints(self) -> list[_Checkpoint]:
        """By their steps, and by name."""
        names = dict.fromkeys(row["revision"] for row in self.rows)
        found = []
        for name in names:
            rows = [row for row in self.rows if row["revision"] == name]
            found.append(_Checkpoint(name or self.model, rows[0]["step"], rows))
        return sorted(found, key=lambda one: (-1 if one.step is None else one.step, by_number(one.name)))

    @property
    def bins(self) -> list[tuple[int, int]]:
        return bins(next((len(row["loss"]) for row in self.rows if row["what"] == "text"), 0))

    @property
    def centres(self) -> list[float]:
        """The geometric middle of each bin."""
        return [(first * last) ** 0.5 for first, last in self.bins]

    @property
    def levels(self) -> Grid:
        unknown = (None,) * len(self.bins)
        return tuple(one.levels() or unknown for one in self.checkpoints)

    @property
    def slopes(self) -> Grid:
        """d loss / d ln position between neighbouring bins."""
        return tuple(log_slopes(levels, self.centres) for levels in self.levels)

    def mixed(self) -> tuple[list[_Checkpoint], Grid]:
        """d² loss / d ln position d ln step, between a checkpoint and the one before, both after the first step; of
        checkpoints that name one step, such as ``step1`` and ``step-1``, the first alone counts."""
        pairs: dict[int, tuple[_Checkpoint, tuple[float | None, ...]]] = {}
        for one, slopes in zip(self.checkpoints, self.slopes, strict=True):
            if one.step:
                pairs.setdefault(one.step, (one, slopes))
        grid = []
        for (before, (_, old)), (after, (_, new)) in pairwise(pairs.items()):
            ratio = log(after / before)
            grid.append(
                tuple(
                    None if a is None or b is None else (b - a) / ratio for a, b in zip(old, new, strict=True)
                )
            )
        return [one for one, _ in [*pairs.values()][1:]], tuple(grid)

    def sentences(self) -> Iterator[str]:
        known = [one for one in self.checkpoints if one.scores]
        if len(known) < 2:
            for one in known:
                yield f"{one.name}: ICL score {said(mean_interval(one.scores), '+.2f')} nats."
            return
        scores = [fmean(one.scores) for one in known]
        falls = [(after - before, at) for at, (before, after) in enumerate(pairwise(scores))]
        steepest, at = min(falls)
        where = f"between {known[at].name} and {known[at + 1].name}"
        yield (
            f"{self.model}: the ICL score goes from {scores[0]:+.2f} to {scores[-1]:+.2f} nats; it "
            + (f"falls most, by {-steepest:.2f}, {where}." if steepest <= -0.005 else "never falls.")
        )
        for name, title in (("previous", "previous-token"), ("induction", "induction")):
            marks = [(one.mean("heads", name), one.name) for one in known]
            values = [(value, name) for value, name in marks if value is not None]
            if values:
                half = max(value for value, _ in values) / 2
                first = next(name for value, name in values if value >= half)
                yield (
                    f"{self.model}: the strongest {title} head goes from {values[0][0]:.2f} to {values[-1][0]:.2f}; "
                    f"half of its highest is first reached at {first}."
                )

    def tables(self) -> Iterator[SummaryTable]:
        yield SummaryTable(
            title=f"Checkpoints ({self.model})",
            columns=(
                "checkpoint",
                "loss",
                "ICL score",
                "95 %",
                "induction",
                "where",
                "null",
                "previous",
                "where ",
                "right",
                "gain",
                "‖ΔW‖/‖W‖",
            ),
            rows=tuple(map(_marks, self.checkpoints)),
            note="Loss in nats per token; ICL score: last tenth of the positions less first; induction and previous: "
            "the strongest head on repeated random tokens, null: the largest induction score where nothing repeats; "
            "right: share of prompts whose answer is the most probable one in the context; gain: what the context "
            "adds to the answer's log-probability; ‖ΔW‖/‖W‖: mean over layers and prompts.",
        )
        if self.bins:
            yield self._grid("Loss by position", self.checkpoints, self.levels, self._names())
            between = self._between()
            yield self._grid("d loss / d ln position", self.checkpoints, self.slopes, between)
            late, mixed = self.mixed()
            if late:
                yield self._grid("d² loss / d ln position d ln step", late, mixed, between)

    def _grid(
        self, title: str, checkpoints: Sequence[_Checkpoint], grid: Grid, columns: Sequence[str]
    ) -> SummaryTable:
        return SummaryTable(
            title=f"{title} ({self.model})",
            columns=("checkpoint", *columns),
            rows=tuple((one.name, *cells) for one, cells in zip(checkpoints, grid, strict=True)),
            note="Mean over texts and the positions of each column, in nats.",
        )

    def _names(self) -> list[str]:
        return [str(first) if first == last else f"{first}–{last}" for first, last in self.bins]

    def _between(self) -> list[str]:
        names = self._names()
        return [f"{a} to {b}" for a, b in pairwise(names)]

    def figures(self) -> Iterator[SummaryFigure]:
        checkpoints = self.checkpoints
        if len(checkpoints) < 2 or not self.bins:
            return
        late, mixed = self.mixed()
        for name, title, rows, cells, ticks in (
            ("loss", "Loss in nats", checkpoints, self.levels, self._names()),
            ("mixed", "d² loss / d ln position d ln step", late, mixed, self._between()),
        ):
            if cells:
                yield SummaryFigure(
                    name=f"training-{name}",
                    title=f"{title} by position and step ({self.model})",
                    kind="heatmap",
                    x_label="positions",
                    y_label="checkpoint",
                    ticks=tuple(ticks),
                    y_ticks=tuple(one.name for one in rows),
                    cells=cells,
                )
        timed = [one for one in checkpoints if one.step]
        yield SummaryFigure(
            name="training-marks",
            title=f"What appears when ({self.model})",
            kind="lines",
            x_label="steps of the training",
            y_label="ICL score in nats; head scores in 0 to 1; ‖ΔW‖/‖W‖",
            series=tuple(
                FigureSeries(label=label, x=tuple(float(one.step or 0) for one in timed), y=values)
                for label, values in (
                    ("ICL score", tuple(fmean(one.scores) if one.scores else None for one in timed)),
                    ("induction", tuple(one.mean("heads", "induction") for one in timed)),
                    ("previous token", tuple(one.mean("heads", "previous") for one in timed)),
                    ("‖ΔW‖/‖W‖", tuple(one.mean("prompt", "patch_norm") for one in timed)),
                )
            ),
            log_x=True,
        )


def _marks(one: _Checkpoint) -> tuple[Cell, ...]:
    losses = [value for row in one.of("text") for value in row["loss"] if value is not None]
    heads = next(iter(one.of("heads")), {})
    score = mean_interval(one.scores)
    return (
        one.name,
        fmean(losses) if losses else None,
        score.value,
        None if score.low is None or score.high is None else f"{score.low:.2f} to {score.high:.2f}",
        heads.get("induction"),
        heads.get("induction_head"),
        heads.get("induction_null"),
        heads.get("previous"),
        heads.get("previous_head"),
        one.mean("prompt", "right"),
        one.mean("prompt", "answer_context", "answer_plain"),
        one.mean("prompt", "patch_norm"),
    )
