"""What the rows of a sweep add up to: how far the patch carries the context, beside its controls.

Enters: rows as plain dictionaries. Leaves: a :class:`~icltui.values.results.Summary`.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from icltui.studies.statistics import median_interval, spearman_interval
from icltui.values.results import Cell, FigureSeries, Summary, SummaryFigure, SummaryTable

Row = Mapping[str, object]
Settings = Mapping[tuple[object, ...], Sequence[Row]]
_TITLES = {"alpha_asked": "α"}
_SETTING = ("model", "revision", "dtype", "layers", "mode", "components", "alpha_asked")
"""What rows are grouped by."""
_MOST_SERIES = 8
_MOST_ERRORS = 20


def summarise_sweep(rows: Sequence[Row]) -> Summary:
    """The tables by setting and by tag, the errors, the figures, and what they say."""
    right = [row for row in rows if row["error"] is None]
    varied = [name for name in _SETTING if len({row[name] for row in rows}) > 1]
    settings = _grouped(right, lambda row: tuple(row[name] for name in _SETTING))
    tables = list(_settings_tables(settings, varied)) if right else []
    tags = sorted({tag for row in right for tag in _tags(row)})
    if tags:
        tables.append(_tags_table(right, tags))
    if len(right) < len(rows):
        tables.append(_errors_table(rows))
    return Summary(
        title=f"Sweep of {len({row['prompt'] for row in rows})} prompts",
        question="How much of what a context does to the next token does a patch of the weights do?",
        answer=tuple(_sentences(right)),
        shows_not=(
            "With every layer patched and both components, the patch of the query's last token gives the contextual "
            "logits by construction: a KL of 0 there proves the arithmetic, and nothing about the model.",
            "An answer of several tokens is scored by its whole log-probability, which long answers have less of.",
        ),
        tables=tuple(tables),
        figures=tuple(_figures(right, settings, varied)),
        n_rows=len(rows),
        n_failed=len(rows) - len(right),
    )


def recovered(row: Row) -> float | None:
    """R = 1 − KL(context ‖ patched) / KL(context ‖ none); None where there is nothing to be won."""
    plain, patched = _number(row, "kl_plain"), _number(row, "kl_patched")
    return 1 - patched / plain if plain and patched is not None else None


def _settings_tables(settings: Settings, varied: Sequence[str]) -> Iterator[SummaryTable]:
    """Divergences, and then answers and sizes; what is alike in all rows is said once."""
    shown = [name for name in _SETTING if name in varied] or ["model"]
    alike = next(iter(settings))
    same = [
        f"{_TITLES.get(name, name)} {value}"
        for name, value in zip(_SETTING, alike, strict=True)
        if name not in shown and value
    ]
    heads = [
        [value for name, value in zip(_SETTING, setting, strict=True) if name in shown]
        for setting in settings
    ]
    titles = [_TITLES.get(name, name) for name in shown]
    note = f" In all rows: {', '.join(map(str, same))}." if same else ""
    yield SummaryTable(
        title="Divergence from the context's next token",
        columns=(
            *titles,
            "rows",
            "plain",
            "ΔW alone",
            "Δb alone",
            "patched",
            "random",
            "shuffled",
            "R",
            "low",
            "high",
        ),
        rows=tuple(
            (*map(_cell, head), *_divergences(rows))
            for head, rows in zip(heads, settings.values(), strict=True)
        ),
        note="KL(context ‖ other) in nats, medians over rows. R = 1 − patched / plain: its median with an interval of "
        f"95 % from resamples.{note}",
    )
    yield SummaryTable(
        title="Answers and sizes",
        columns=(
            *titles,
            "same top plain",
            "same top patched",
            "gain patched",
            "gain context",
            "‖ΔW‖/‖W‖",
            "noise floor",
        ),
        rows=tuple(
            (*map(_cell, head), *_answers(rows)) for head, rows in zip(heads, settings.values(), strict=True)
        ),
        note="Same top: share of rows whose most probable next token is the context's. Gain: of the answer's "
        "log-probability in nats, over the query alone. All but the shares are medians; the noise floor is in logits.",
    )


def _divergences(rows: Sequence[Row]) -> list[Cell]:
    names = ("plain", "weights", "shift", "patched", "random", "shuffled")
    shares = _known(map(recovered, rows))
    return [len(rows), *(_median(rows, f"kl_{name}") for name in names), *median_interval(shares)]


def _answers(rows: Sequence[Row]) -> list[Cell]:
    return [
        _share(rows, "top1_plain"),
        _share(rows, "top1_patched"),
        _median_of(_gain(row, "answer_patched") for row in rows),
        _median_of(_gain(row, "answer_context") for row in rows),
        _median(rows, "relative_patch_norm"),
        _median(rows, "noise_floor"),
    ]


def _tags_table(rows: Sequence[Row], tags: Sequence[str]) -> SummaryTable:
    lines: list[tuple[Cell, ...]] = []
    for tag in tags:
        ours = [row for row in rows if tag in _tags(row)]
        shares = [share for row in ours if (share := recovered(row)) is not None]
        kls = [_median(ours, name) for name in ("kl_plain", "kl_patched", "kl_random", "kl_shuffled")]
        gains = [
            _median_of(_gain(row, name) for row in ours) for name in ("answer_patched", "answer_context")
        ]
        lines.append((tag, len(ours), *kls, median_interval(shares).value, *gains))
    return SummaryTable(
        title="By tag",
        columns=(
            "tag",
            "rows",
            "plain",
            "patched",
            "random",
            "shuffled",
            "R",
            "gain patched",
            "gain context",
        ),
        rows=tuple(lines),
        note="Medians over the rows of all models and recipes; the columns are those of the tables above.",
    )


def _errors_table(rows: Sequence[Row]) -> SummaryTable:
    groups = _grouped([row for row in rows if row["error"] is not None], lambda row: row["error"])
    most = sorted(groups.items(), key=lambda pair: (-len(pair[1]), str(pair[0])))[:_MOST_ERRORS]
    return SummaryTable(
        title="Rows without a result",
        columns=("rows", "first prompt", "why"),
        rows=tuple(
            (len(some), min(_whole(row, "prompt") for row in some), str(error)) for error, some in most
        ),
        note=f"{len(groups) - len(most)} more kinds of errors." if len(groups) > len(most) else "",
    )


def _sentences(rows: Sequence[Row]) -> Iterable[str]:
    if not rows:
        yield "No row has a result."
        return
    interval = median_interval([share for row in rows if (share := recovered(row)) is not None])
    if interval.value is not None and interval.low is not None and interval.high is not None:
        yield (
            f"The patch recovers a median share of {interval.value:.3f} of the context's effect on the next token "
            f"(95 % interval {interval.low:.3f} to {interval.high:.3f}, all rows together)."
        )
    controls = [_median(rows, name) for name in ("kl_plain", "kl_patched", "kl_random", "kl_shuffled")]
    if None not in controls:
        words = "{:.3g} nats without a patch, {:.3g} patched, {:.3g} with a random patch of equal norms, {:.3g} with "
        yield ("Median KL: " + words + "the shuffled context's patch.").format(*controls)
    pairs = [
        (size, gain)
        for row in rows
        if (size := _number(row, "delta_norm")) is not None
        and (gain := _gain(row, "answer_context")) is not None
    ]
    if len(pairs) > 2:
        rank = spearman_interval([size for size, _ in pairs], [gain for _, gain in pairs])
        if rank.value is not None and rank.low is not None and rank.high is not None:
            yield (
                f"Rank correlation of ‖δ‖ with what the context adds to the answer's log-probability: {rank.value:.2f} "
                f"(95 % interval {rank.low:.2f} to {rank.high:.2f})."
            )


def _figures(rows: Sequence[Row], settings: Settings, varied: Sequence[str]) -> Iterable[SummaryFigure]:
    some = list(settings.items())[:_MOST_SERIES]
    names = [_name_of(setting, varied) for setting, _ in some]
    drops = [_known(_drop(row) for row in ours) for _, ours in some]
    if any(drops):
        yield SummaryFigure(
            name="kl-drop",
            title="What the patch takes off the KL to the context",
            kind="histogram",
            x_label="KL plain − KL patched [nats]",
            y_label="rows",
            series=tuple(FigureSeries(label=name, x=tuple(x)) for name, x in zip(names, drops, strict=True)),
        )
    points = [
        [
            (size, gain)
            for row in ours
            if (size := _number(row, "delta_norm")) is not None
            and (gain := _gain(row, "answer_context")) is not None
        ]
        for _, ours in some
    ]
    if any(points):
        yield SummaryFigure(
            name="delta-and-gain",
            title="The size of the context's change, and what it adds to the answer",
            kind="scatter",
            x_label="‖δ‖",
            y_label="log p(answer) with context − without [nats]",
            series=tuple(
                FigureSeries(label=name, x=tuple(x for x, _ in pairs), y=tuple(y for _, y in pairs))
                for name, pairs in zip(names, points, strict=True)
            ),
        )
    if "layers" in varied:
        yield _layers_figure(rows)


def _layers_figure(rows: Sequence[Row]) -> SummaryFigure:
    groups = _grouped(rows, lambda row: row["layers"])
    intervals = [median_interval(_known(map(recovered, some))) for some in groups.values()]
    return SummaryFigure(
        name="layers",
        title="Share of the context's effect that a patch of these layers recovers",
        kind="bars",
        x_label="layers",
        y_label="R, median",
        series=(
            FigureSeries(
                label="patched",
                x=tuple(float(k) for k in range(len(groups))),
                y=tuple(one.value for one in intervals),
                low=tuple(one.low for one in intervals),
                high=tuple(one.high for one in intervals),
            ),
        ),
        ticks=tuple(map(str, groups)),
    )


def _name_of(setting: Sequence[object], varied: Sequence[str]) -> str:
    return ", ".join(
        f"α {value}" if name == "alpha_asked" else str(value)
        for name, value in zip(_SETTING, setting, strict=True)
        if name in varied
    ) or str(setting[0])


def _grouped(rows: Iterable[Row], by: Callable[[Row], object]) -> dict[tuple[object, ...], list[Row]]:
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return dict(sorted(groups.items(), key=lambda pair: _order(pair[0])))  # type: ignore[arg-type]


def _order(key: object) -> tuple[object, ...]:
    """Numbers in texts count as numbers: layer 10 comes after layer 9."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple((len(text), text) if (text := str(part)).isdecimal() else (99, text) for part in parts)


def _drop(row: Row) -> float | None:
    plain, patched = _number(row, "kl_plain"), _number(row, "kl_patched")
    return None if plain is None or patched is None else plain - patched


def _gain(row: Row, name: str) -> float | None:
    other, plain = _number(row, name), _number(row, "answer_plain")
    return None if other is None or plain is None else other - plain


def _share(rows: Sequence[Row], name: str) -> float | None:
    known = [bool(row[name]) for row in rows if row[name] is not None]
    return sum(known) / len(known) if known else None


def _median(rows: Iterable[Row], name: str) -> float | None:
    return _median_of(_number(row, name) for row in rows)


def _median_of(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return statistics.median(known) if known else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _number(row: Row, name: str) -> float | None:
    value = row[name]
    return value if isinstance(value, float) else None


def _whole(row: Row, name: str) -> int:
    value = row[name]
    return value if isinstance(value, int) else 0


def _tags(row: Row) -> Sequence[str]:
    tags = row["tags"]
    return tags if isinstance(tags, list | tuple) else ()


def _cell(value: object) -> Cell:
    return value if isinstance(value, str | int | float) else str(value)
