"""What the plots can show: a measure by unit, the next tokens by unit, and a patch that is varied.

A measurement, or the report on a patch, enters; a :class:`~icltui.tui.draw.plot_figure.Figure` leaves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypedDict

from rich.cells import cell_len, set_cell_size

from icltui.report.measures import MEASURES
from icltui.report.top_token_flips import Flip
from icltui.tui.draw.choice_points import choice_lines, names_of, place_of
from icltui.tui.draw.plot_figure import CROSS, Figure, Kind, Series
from icltui.tui.draw.safe_text import CURSOR, display, fit, number
from icltui.tui.state.leading_tokens import flips, leading
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import ChoicePoint, CurvePoint, PatchReport

View = Literal["measure", "tokens", "alpha", "layers", "queries", "choice"]
"""What is plotted: the first two over the units, the last what a compilation has tried, the others a varied patch."""
OF_PATCH: tuple[View, ...] = ("alpha", "layers", "queries")

_TOKEN_WIDTH = 16
_FLIP_WIDTH = 36
_MOST_FLIP_LINES = 5
_NO_CURVES = "No curves yet: C turns ΔW on and varies the present patch."


@dataclass(frozen=True)
class Overlay:
    """A second run, whose line of the layer in focus is drawn over the first run's lines."""

    measured: MeasuredUnits
    label: str


@dataclass(frozen=True)
class Pin:
    """A curve that stays while runs come and go."""

    measure: str
    layer: int
    run: str
    """What its run is called."""
    values: tuple[float | None, ...]

    @property
    def name(self) -> str:
        """What the plot calls it."""
        return f"L{self.layer} {self.run}".rstrip()


def views(patch: PatchReport | None, has_choice: bool) -> tuple[View, ...]:
    """The plots to choose from; queries only where the patch was made from some."""
    has_queries = patch is not None and patch.curves is not None and patch.curves.queries
    queries: tuple[View, ...] = ("queries",) if has_queries else ()
    return ("measure", "tokens", "alpha", "layers", *queries, *(("choice",) if has_choice else ()))


def measure_figure(
    measured: MeasuredUnits,
    measure: str,
    layers: Sequence[int],
    log: bool,
    focus: int,
    other: Overlay | None = None,
    pins: Sequence[Pin] = (),
) -> Figure:
    """One measure by unit, a line for each layer, that of the layer ``focus`` in front, then other runs and pins.

    Units that are left out one at a time are no series: the layer in focus has bars, the others dots beside them.
    """
    what = MEASURES[measure]
    is_apart = measured.dynamics == "drop"
    shown = sorted({*layers, *({focus} & {*measured.layers})})
    at = shown.index(focus) if focus in shown else 0
    kinds: tuple[Kind, Kind] = ("bars", "dots") if is_apart else ("line", "line")
    series = [
        Series(
            f"L{layer}",
            measured.series(measure, layer),
            kinds[place != at],
            depth=place / max(1, len(shown) - 1),
            layer=layer,
        )
        for place, layer in enumerate(shown)
    ]
    if other:
        name = f"{fit(other.label, _TOKEN_WIDTH).rstrip()} L{focus}"
        series.append(Series(name, other.measured.series(measure, focus), "points", CROSS, depth=1.0))
    kind: Kind = "points" if is_apart else "line"
    series += [Series(pin.name, pin.values, kind, depth=1.0) for pin in pins if pin.measure == measure]
    some = f", {len(shown)} of {len(measured.layers)} layers" if len(shown) < len(measured.layers) else ""
    return Figure(
        y_title=what.symbol,
        title=f"{what.meaning(measured.dynamics)[0] or 'not defined here'}{some}",
        series=series,
        focus=at,
        log=log and what.log,
        **_units(measured),
    )


def measure_pin(measured: MeasuredUnits, measure: str, layer: int, run: str) -> Pin:
    """The curve of a measure at a layer, as it is now."""
    return Pin(measure, layer, run, tuple(measured.series(measure, layer)))


def layer_figures(
    measured: MeasuredUnits, measure: str, layers: Sequence[int], log: bool, focus: int
) -> tuple[list[Figure], int]:
    """A figure for each layer, and which of them is that of the layer ``focus``."""
    whole = measure_figure(measured, measure, layers, log, focus)
    kind: Kind = "bars" if measured.dynamics == "drop" else "line"
    return [replace(whole, series=[replace(line, kind=kind)]) for line in whole.series], whole.focus


def measures_figures(
    measured: MeasuredUnits, measure: str, log: bool, layer: int
) -> tuple[list[Figure], int]:
    """A figure for each measure that there is of a layer, and which of them is ``measure``."""
    names = [name for name, what in MEASURES.items() if what.is_defined(measured.dynamics)]
    focus = names.index(measure) if measure in names else 0
    whole = [measure_figure(measured, name, (layer,), log, layer) for name in names]
    figures = []
    for at, (name, figure) in enumerate(zip(names, whole, strict=True)):
        line = replace(figure.series[0], name=f"{MEASURES[name].symbol} L{layer}", depth=at / len(names))
        figures.append(replace(figure, series=[line]))
    return figures, focus


class UnitAxis(TypedDict):
    """The fields of a figure over units."""

    x_title: str
    x_texts: Sequence[str]
    place: Callable[[int], str]


def _units(measured: MeasuredUnits) -> UnitAxis:
    texts = [measured.unit_text(unit) for unit in range(measured.n_units)]
    return UnitAxis(x_title="unit", x_texts=texts, place=partial(_place, measured))


def _place(measured: MeasuredUnits, unit: int) -> str:
    return f"unit {unit} {fit(measured.unit_text(unit), _TOKEN_WIDTH).rstrip()}" if measured.n_units else ""


def tokens_figure(measured: MeasuredUnits, log: bool, width: int, focus: int = 0) -> Figure:
    """The probabilities of the leading next tokens by unit; below it, where the most probable one changes."""
    found, lines = flips(measured), leading(measured)
    kind: Kind = "points" if measured.dynamics == "drop" else "line"
    return Figure(
        y_title="p",
        title="of the leading next tokens; gap: not among the likeliest",
        series=[
            Series(
                fit(token.text, _TOKEN_WIDTH).rstrip(),
                token.probabilities,
                kind,
                depth=at / max(1, len(lines) - 1),
            )
            for at, token in enumerate(lines)
        ],
        focus=min(focus, max(len(lines) - 1, 0)),
        log=log,
        bounds=(0.0, 1.0),
        flags=[flip.unit for flip in found],
        below=lambda unit: _flip_lines(found, measured, unit, width),
        empty="This run recorded no next tokens." if measured.is_mute else Figure.empty,
        **_units(measured),
    )


def _flip_lines(found: Sequence[Flip], measured: MeasuredUnits, unit: int, width: int) -> list[str]:
    """The flips around ``unit`` in columns; a line that counts them above."""
    against = "against the full context's answer" if measured.dynamics == "drop" else "from the unit before"
    if not found:
        return ["the answer has not flipped so far"]
    n_columns = max(1, width // _FLIP_WIDTH)
    n_shown = n_columns * _MOST_FLIP_LINES
    nearest = min(range(len(found)), key=lambda at: abs(found[at].unit - unit))
    first = max(0, min(nearest - n_shown // 2, len(found) - n_shown))
    shown = found[first : first + n_shown]
    part = f", {first + 1} to {first + len(shown)} shown" if len(shown) < len(found) else ""
    times = "once" if len(found) == 1 else f"{len(found)} times"
    lines = [f"the answer flips {times}, {against}{part}"]
    n_rows = -(-len(shown) // n_columns)
    for row in range(n_rows):
        lines.append("".join(_flip_text(flip, flip.unit == unit) for flip in shown[row::n_rows]))
    return lines


def _flip_text(flip: Flip, is_selected: bool) -> str:
    before, after = (
        f"{display(each.token.text) or '␣'} {number(each.probability, 5).strip()}"
        for each in (flip.before, flip.after)
    )
    text = f"unit {flip.unit} {after} ← {before}"
    if cell_len(text) > _FLIP_WIDTH - 2:
        text = set_cell_size(text, _FLIP_WIDTH - 3).rstrip() + "…"
    mark = CURSOR if is_selected else " "
    return mark + set_cell_size(text, _FLIP_WIDTH - 1)


def curve_figure(
    patch: PatchReport | None, view: View, log: bool, alpha: float | None = None, focus: int = 0
) -> Figure:
    """The KL that a patch leaves, against its strength, its layers or the queries that it was made from.

    The mark is at the strength ``alpha``, by default the patch's own.
    """
    curves = patch.curves if patch else None
    what = "KL(with context ‖ patched), nats"
    if patch is None or curves is None:
        return Figure(y_title=what, title="the patch varied", empty=_NO_CURVES)
    if view == "layers":
        lines = [*_lines(curves.from_bottom, "lowest"), *_lines(curves.from_top, "highest")]
        points, at, x_title = curves.from_bottom, len(curves.from_bottom) - 1, "layers"
        title = "against the number of layers"
    elif view == "queries":
        lines, points = _lines(curves.queries, "fitted"), curves.queries
        at, x_title, title = len(points) - 1, "queries", "against the number of queries"
    else:
        lines, points = _lines(curves.alpha, "this query"), curves.alpha
        strength = patch.alpha if alpha is None else alpha
        nearest = min(points, key=lambda point: abs(point.x - strength), default=None)
        at, x_title, title = points.index(nearest) if nearest else 0, "α", "against the strength α"
    names = [f"{point.x:g}" for point in points]
    best = _least(lines, names)
    return Figure(
        y_title=what,
        title=title,
        series=_spread(lines),
        focus=min(focus, max(len(lines) - 1, 0)),
        log=log,
        mark=at,
        place=lambda at: f"{x_title} {names[at]}" if 0 <= at < len(names) else "",
        x_title=x_title,
        x_names=names,
        below=lambda _at: best,
    )


def _spread(lines: Sequence[Series]) -> list[Series]:
    """The lines, their colours spread over the ramp."""
    return [replace(line, depth=at / max(1, len(lines) - 1)) for at, line in enumerate(lines)]


def choice_figure(points: Sequence[ChoicePoint], log: bool, width: int, focus: int = 0) -> Figure:
    """What a compilation has tried, in order: R on queries that were left out, and what happens to other text."""
    chosen = [at for at, point in enumerate(points) if point.chosen]
    at = chosen[-1] if chosen else len(points) - 1
    # A patch that is far worse than none would leave no room for the others.
    r = [None if point.r_median is None else max(point.r_median, -1.0) for point in points]
    lines = [
        Series("R", r),
        Series("other text, KL", [point.collateral for point in points]),
        Series("chosen", [value if at in chosen else None for at, value in enumerate(r)], "points", CROSS),
    ]
    return Figure(
        y_title="R, and KL on other text in nats",
        title=f"leave-one-out R of what was tried; {CROSS}: chosen",
        series=_spread(lines),
        focus=min(focus, 1),
        log=log,
        mark=at if points else None,
        place=lambda at: place_of(points[at]) if 0 <= at < len(points) else "",
        x_title="tried",
        x_names=names_of(points),
        below=lambda _at: list(choice_lines(points, width)),
        empty="Nothing tried yet: W makes one patch of the context.",
    )


def _lines(points: Sequence[CurvePoint], name: str) -> list[Series]:
    """The KL after the prompt's own query, and on tokens that the patch was not made from, if there are any."""
    lines = [Series(name, [point.kl for point in points])]
    if any(point.kl_others is not None for point in points):
        elsewhere = "elsewhere" if name in ("this query", "fitted") else f"{name}, elsewhere"
        lines.append(Series(elsewhere, [point.kl_others for point in points]))
    return lines


def _least(lines: Sequence[Series], names: Sequence[str]) -> list[str]:
    """Where each line is lowest."""
    texts = []
    for line in lines:
        known = [(value, at) for at, value in enumerate(line.values) if value is not None]
        if known:
            value, at = min(known)
            texts.append(f"{line.name} {number(value, 8).strip()} at {names[at]}")
    return ["least: " + " · ".join(texts)] if texts else []
