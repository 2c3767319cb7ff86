"""What the rows of *deliberation* add up to: pairs beside their nulls, steps of the chain, and which opinion wins."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from icltui.studies.statistics import (
    StatisticInterval,
    mean_interval,
    median_interval,
    said,
    spearman_interval,
)
from icltui.studies.study import Plain, by_model
from icltui.values.results import Cell, FigureSeries, SummaryFigure, SummaryTable

Parts = tuple[list[str], list[SummaryTable], list[SummaryFigure]]
KINDS = ("opposed", "agreeing", "unrelated", "shuffled")
CHAIN = ("A1", "A1 B1", "A1 B1 A2", "A1 B1 A2 B2", "A1 B1 A2 B2 A3", "A1 B1 A2 B2 A3 B3")
VOTES = ("", "A1", "B1", "A1 B1", "B1 A1", "A1 A2 B1", "A1 B1 A2", "B1 A1 A2", *CHAIN[3:])


@dataclass(frozen=True)
class _DeliberationRows:
    """The rows of one model."""

    name: str
    rows: Sequence[Plain]
    seed: int

    def pairs(self, kind: str) -> list[Plain]:
        return [row for row in self.rows if row["pair"] == kind]

    def contexts(self, sequence: str) -> list[Plain]:
        return [row for row in self.rows if not row["pair"] and row["sequence"] == sequence]

    def odds(self, sequence: str) -> dict[int, float]:
        """log p(A) − log p(B) after the sequence, by dispute."""
        return {
            row["number"]: row["log_p_first"] - row["log_p_second"]
            for row in self.contexts(sequence)
            if row["log_p_first"] is not None and row["log_p_second"] is not None
        }


def summarise_deliberation(rows: Sequence[Plain], seed: int) -> Parts:
    """Sentences, tables and figures, model after model."""
    answer: list[str] = []
    tables: list[SummaryTable] = []
    figures: list[SummaryFigure] = []
    for number, (name, some) in enumerate(by_model(rows).items(), 1):
        model = _DeliberationRows(name, some, seed)
        pairs, pair_sentences = _pairs(model)
        winners, winner_sentences = _winners(model)
        related, related_sentence = _related(model)
        answer += [*pair_sentences, *winner_sentences, related_sentence]
        tables += [pairs, _steps(model), winners, related]
        figures += [_by_layer(model, number, "interaction"), _by_layer(model, number, "order")]
    return answer, tables, figures


def middle(row: Plain, column: str) -> float | None:
    """The median over the layers that have a number."""
    known = [value for value in row[column] if value is not None]
    return statistics.median(known) if known else None


def _medians(rows: Iterable[Plain], column: str) -> list[float]:
    return [value for row in rows if (value := middle(row, column)) is not None]


def _pairs(model: _DeliberationRows) -> tuple[SummaryTable, list[str]]:
    lines: list[tuple[Cell, ...]] = []
    for kind in KINDS:
        some = model.pairs(kind)
        cells: list[Cell] = [kind, len(some)]
        for ratio in ("interaction", "order"):
            cells += [
                *median_interval(_medians(some, ratio), model.seed),
                _median(_medians(some, f"null_{ratio}")),
            ]
        cells += [_median(_medians(some, name)) for name in ("weight_first", "weight_second", "remainder")]
        lines.append((*cells, _median(_medians(some, "noise"))))
    table = SummaryTable(
        title=f"{model.name}: how two parts of a context act together",
        columns=(
            *("pair", "disputes", "interaction", "low", "high", "null", "order", "low", "high", "null"),
            *("a", "b", "remainder", "noise"),
        ),
        rows=tuple(lines),
        note="Medians over disputes, with 95 % intervals from resamples, of the median over layers. Interaction is 0 "
        "where two updates add up, 1 where they average; null: orthogonal vectors of the same norms (√3 and √2 where "
        "those are equal). a, b: the best weights of δ(X) and δ(Y) for δ(XY); remainder: what they leave of "
        "‖δ(XY)‖. Noise: two right runs of the longest context, over ‖δ‖.",
    )
    opposed, _, unrelated, _ = lines
    return table, [
        f"{model.name}: two opposed opinions have interaction {said(opposed[2:5])}, beside "
        f"{said(unrelated[2:5])} of an opinion and an unrelated sentence; sums have 0, averages "
        f"1, orthogonal vectors {_number(opposed[5])}.",
        f"{model.name}: swapping two opposed opinions changes {said(opposed[6:9])} of the update's norm (orthogonal "
        f"vectors {_number(opposed[9])}); the best weights are {_number(opposed[10])} for the first and "
        f"{_number(opposed[11])} for the last.",
    ]


def _steps(model: _DeliberationRows) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for k, sequence in enumerate(CHAIN, 1):
        found = [
            own / whole
            for row, whole in zip(
                model.contexts(sequence), _first_steps(model, model.contexts(sequence)), strict=True
            )
            if (own := middle(row, "step")) is not None and whole
        ]
        none, found_odds = model.odds(""), model.odds(sequence)
        shift = [value - none[number] for number, value in found_odds.items() if number in none]
        lines.append(
            (k, sequence[-2], *median_interval(found, model.seed), *mean_interval(shift, model.seed))
        )
    return SummaryTable(
        title=f"{model.name}: what each further opinion adds",
        columns=("opinions", "last", "step", "low", "high", "log-odds A : B", "low", "high"),
        rows=tuple(lines),
        note="Step: ‖δ_k − δ_{k−1}‖ over ‖δ_1‖, the median over disputes of medians over layers. Log-odds: mean of "
        "log p(A) − log p(B), less the same without a context.",
    )


def _first_steps(model: _DeliberationRows, rows: Sequence[Plain]) -> list[float | None]:
    first = {row["number"]: middle(row, "step") for row in model.contexts(CHAIN[0])}
    return [first[row["number"]] for row in rows]


def _winners(model: _DeliberationRows) -> tuple[SummaryTable, list[str]]:
    lines: list[tuple[Cell, ...]] = []
    for sequence in VOTES:
        odds = model.odds(sequence)
        share = mean_interval([float(value > 0) for value in odds.values()], model.seed)
        mass = [
            math.exp(row["log_p_first"]) + math.exp(row["log_p_second"])
            for row in model.contexts(sequence)
            if row["number"] in odds
        ]
        lines.append(
            (
                sequence or "none",
                len(odds),
                *share,
                *mean_interval([*odds.values()], model.seed),
                _median(mass),
            )
        )
    table = SummaryTable(
        title=f"{model.name}: which opinion wins",
        columns=(
            "context",
            "disputes",
            "A wins",
            "low",
            "high",
            "log-odds A : B",
            "low",
            "high",
            "p(A) + p(B)",
        ),
        rows=tuple(lines),
        note="A wins: share of disputes in which A is more probable than B. Which option is A is drawn, so that "
        "without a context about half of them go to A. p(A) + p(B): median.",
    )
    last = last_wins(model.odds("A1 B1"), model.odds("B1 A1"), model.seed)
    vote = mean_interval([float(value > 0) for value in model.odds("A1 A2 B1").values()], model.seed)
    first = mean_interval([float(value > 0) for value in model.odds("B1 A1 A2").values()], model.seed)
    return table, [
        f"{model.name}: of two opposed opinions the last one wins in a share of {said(last)}.",
        f"{model.name}: of two voices against one, the two win in a share of {said(vote)} where the one speaks last, "
        f"{said(first)} where it speaks first.",
    ]


def last_wins(ab: dict[int, float], ba: dict[int, float], seed: int) -> StatisticInterval:
    """The share of both orders in which the last option is more probable; resampled by dispute, of which each has two.

    >>> last_wins({0: -1.0, 1: 2.0}, {0: 1.0, 1: 2.0}, 0).value
    0.75
    """
    return mean_interval([((ab[k] < 0) + (ba[k] > 0)) / 2 for k in ab if k in ba], seed)


def _related(model: _DeliberationRows) -> tuple[SummaryTable, str]:
    """Rank correlations of the ratios with what the answer does."""
    ab, ba, none = model.odds("A1 B1"), model.odds("B1 A1"), model.odds("")
    a, b = model.odds("A1"), model.odds("B1")
    alone = {k: a[k] + b[k] - 2 * none[k] for k in none if {k} <= a.keys() & b.keys() & ab.keys() & ba.keys()}
    questions: list[tuple[str, str, Callable[[int], float]]] = [
        ("order", "change of log-odds when swapped", lambda k: abs(ab[k] - ba[k])),
        ("interaction", "log-odds of AB less those of A and B", lambda k: abs(ab[k] - none[k] - alone[k])),
        ("interaction", "how decided the answer is", lambda k: abs(ab[k])),
    ]
    lines: list[tuple[Cell, ...]] = []
    for ratio, what, number in questions:
        found = [
            (value, number(row["number"]))
            for row in model.pairs("opposed")
            if (value := middle(row, ratio)) is not None and row["number"] in alone
        ]
        x, y = ([pair[k] for pair in found] for k in (0, 1))
        lines.append((ratio, what, len(found), *spearman_interval(x, y, model.seed)))
    table = SummaryTable(
        title=f"{model.name}: the update against the final answer",
        columns=("ratio of AB", "the answer", "disputes", "rank correlation", "low", "high"),
        rows=tuple(lines),
        note="Spearman's, with 95 % intervals from resamples; the answer's numbers without their sign.",
    )
    return table, (
        f"{model.name}: the order ratio has a rank correlation of {said(lines[0][3:6])} with how far "
        "swapping moves the answer."
    )


def _by_layer(model: _DeliberationRows, number: int, ratio: str) -> SummaryFigure:
    series = [_layer_series(model.pairs(kind), kind, ratio) for kind in KINDS]
    series.append(_layer_series(model.pairs("opposed"), "orthogonal vectors", f"null_{ratio}"))
    return SummaryFigure(
        name=f"{ratio}-{number}",
        title=f"{ratio.capitalize()} of two parts of a context, {model.name}",
        kind="lines",
        x_label="layer",
        y_label=f"{ratio}, median over disputes",
        series=tuple(series),
    )


def _layer_series(rows: Sequence[Plain], label: str, column: str) -> FigureSeries:
    columns = [*zip(*(row[column] for row in rows), strict=True)]
    y = tuple(_median([value for value in some if value is not None]) for some in columns)
    return FigureSeries(label=label, x=tuple(map(float, rows[0]["layers"])) if rows else (), y=y)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _number(value: Cell) -> str:
    return "–" if value is None else f"{value:.3g}"
