"""What the plots can show: a measure by unit, the next tokens by unit, and a patch that is varied.

A measurement, or the report on a patch, enters; a :class:`~icltui.tui.draw.plotext_renderer.Figure` leaves.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from icltui.report.figure_data import curve_layers
from icltui.report.measures import MEASURES
from icltui.report.top_token_flips import Flip
from icltui.tui.draw.choice_points import choice_lines, names_of, place_of
from icltui.tui.draw.plotext_renderer import OTHER, Figure, Series
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
    """A second run, whose line of the shown layer is drawn over the first run's lines."""

    measured: MeasuredUnits
    label: str
    layer: int


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
    unit: int,
    other: Overlay | None = None,
) -> Figure:
    """One measure by unit, a line for each of a few layers."""
    what, shown = MEASURES[measure], curve_layers(layers)
    is_log = log and what.log
    some = f", {len(shown)} of {len(layers)} layers" if len(shown) < len(layers) else ""
    words = what.meaning(measured.dynamics)[0]
    marks = _marks(shown)
    lines = [
        Series(f"L{layer}", measured.series(measure, layer), mark)
        for layer, mark in zip(shown, marks, strict=True)
    ]
    if other:
        name = f"{fit(other.label, _TOKEN_WIDTH).rstrip()} L{other.layer}"
        lines.append(Series(name, other.measured.series(measure, other.layer), OTHER))
    return Figure(
        title=f"{what.symbol} by unit{', log scale' if is_log else ''}{some}: {words}".rstrip(": "),
        series=lines,
        log=is_log,
        cursor=unit if measured.n_units else None,
        place=_place(measured, unit),
    )


def _marks(layers: Sequence[int]) -> Sequence[str]:
    """The layers' last digits; letters where two would be alike."""
    digits = [str(layer)[-1] for layer in layers]
    return digits if len(set(digits)) == len(digits) else string.ascii_lowercase[: len(digits)]


def _place(measured: MeasuredUnits, unit: int) -> str:
    return f"unit {unit} {fit(measured.unit_text(unit), _TOKEN_WIDTH).rstrip()}" if measured.n_units else ""


def tokens_figure(measured: MeasuredUnits, log: bool, unit: int, width: int) -> Figure:
    """The probabilities of the leading next tokens by unit; below it, where the most probable one changes."""
    found = flips(measured)
    scale = ", log scale" if log else ""
    return Figure(
        title=f"p of the leading next tokens by unit{scale}; gap: not among the likeliest",
        series=[
            Series(fit(token.text, _TOKEN_WIDTH).rstrip(), token.probabilities, mark)
            for token, mark in zip(leading(measured), string.ascii_lowercase, strict=False)
        ],
        log=log,
        cursor=unit if measured.n_units else None,
        place=_place(measured, unit),
        bounds=(0.0, 1.0),
        flags=[flip.unit for flip in found],
        below=_flip_lines(found, measured, unit, width),
        empty="This run recorded no next tokens." if measured.is_mute else Figure.empty,
    )


def _flip_lines(found: Sequence[Flip], measured: MeasuredUnits, unit: int, width: int) -> list[Text]:
    """The flips around ``unit`` in columns; a line that counts them above."""
    against = "against the full context's answer" if measured.dynamics == "drop" else "from the unit before"
    if not found:
        return [Text("the answer has not flipped so far")]
    n_columns = max(1, width // _FLIP_WIDTH)
    n_shown = n_columns * _MOST_FLIP_LINES
    nearest = min(range(len(found)), key=lambda at: abs(found[at].unit - unit))
    first = max(0, min(nearest - n_shown // 2, len(found) - n_shown))
    shown = found[first : first + n_shown]
    part = f", {first + 1} to {first + len(shown)} shown" if len(shown) < len(found) else ""
    times = "once" if len(found) == 1 else f"{len(found)} times"
    lines = [Text(f"the answer flips {times}, {against}{part}")]
    n_rows = -(-len(shown) // n_columns)
    for row in range(n_rows):
        cells = (_flip_text(flip, flip.unit == unit) for flip in shown[row::n_rows])
        lines.append(Text("").join(cells))
    return lines


def _flip_text(flip: Flip, is_selected: bool) -> Text:
    before, after = (
        f"{display(each.token.text) or '␣'} {number(each.probability, 5).strip()}"
        for each in (flip.before, flip.after)
    )
    text = f"unit {flip.unit} {after} ← {before}"
    if cell_len(text) > _FLIP_WIDTH - 2:
        text = set_cell_size(text, _FLIP_WIDTH - 3).rstrip() + "…"
    mark = CURSOR if is_selected else " "
    return Text(mark + set_cell_size(text, _FLIP_WIDTH - 1))


def curve_figure(patch: PatchReport | None, view: View, log: bool, alpha: float | None = None) -> Figure:
    """The KL that a patch leaves, against its strength, its layers or the queries that it was made from.

    The mark is at the strength ``alpha``, by default the patch's own.
    """
    curves = patch.curves if patch else None
    if patch is None or curves is None:
        return Figure(title="KL(with context ‖ patched), the patch varied", empty=_NO_CURVES)
    scale = ", log scale" if log else ""
    if view == "layers":
        lines = [*_lines(curves.from_bottom, "lowest", "l"), *_lines(curves.from_top, "highest", "h")]
        names, at, what = _names(curves.from_bottom), len(curves.from_bottom) - 1, "the number of layers"
        place = "all layers"
    elif view == "queries":
        lines, names = _lines(curves.queries, "fitted", "q"), _names(curves.queries)
        at, what, place = len(curves.queries) - 1, "the number of calibration queries", "all queries"
    else:
        lines, names = _lines(curves.alpha, "this query", "q"), _names(curves.alpha)
        strength = patch.alpha if alpha is None else alpha
        nearest = min(curves.alpha, key=lambda point: abs(point.x - strength), default=None)
        at = curves.alpha.index(nearest) if nearest else 0
        what, place = "α", f"α {nearest.x:g}" if nearest else ""
    return Figure(
        title=f"KL(with context ‖ patched) against {what}{scale}",
        series=lines,
        log=log,
        cursor=at,
        place=place,
        x_names=names,
        below=_least(lines, names),
    )


def choice_figure(points: Sequence[ChoicePoint], log: bool, width: int) -> Figure:
    """What a compilation has tried, in order: R on queries that were left out, and what happens to other text."""
    scale = ", log scale" if log else ""
    chosen = [at for at, point in enumerate(points) if point.chosen]
    at = chosen[-1] if chosen else len(points) - 1
    # A patch that is far worse than none would leave no room for the others.
    r = [None if point.r_median is None else max(point.r_median, -1.0) for point in points]
    return Figure(
        title=f"leave-one-out R of what was tried, KL on other text{scale}; ×: chosen",
        series=[
            Series("R", r, "r"),
            Series("other text", [point.collateral for point in points], "o"),
            Series("chosen", [value if at in chosen else None for at, value in enumerate(r)], OTHER),
        ],
        log=log,
        cursor=at if points else None,
        place=place_of(points[at]) if points else "",
        x_names=names_of(points),
        below=[Text(line) for line in choice_lines(points, width)],
        empty="Nothing tried yet: W makes one patch of the context.",
    )


def _lines(points: Sequence[CurvePoint], name: str, mark: str) -> list[Series]:
    """The KL after the prompt's own query, and on tokens that the patch was not made from, if there are any."""
    lines = [Series(name, [point.kl for point in points], mark)]
    if any(point.kl_others is not None for point in points):
        elsewhere = "elsewhere" if mark == "q" else f"{name}, elsewhere"
        lines.append(Series(elsewhere, [point.kl_others for point in points], mark.upper()))
    return lines


def _names(points: Sequence[CurvePoint]) -> list[str]:
    return [f"{point.x:g}" for point in points]


def _least(lines: Sequence[Series], names: Sequence[str]) -> list[Text]:
    """Where each line is lowest."""
    texts = []
    for line in lines:
        known = [(value, at) for at, value in enumerate(line.values) if value is not None]
        if known:
            value, at = min(known)
            texts.append(f"{line.name} {number(value, 8).strip()} at {names[at]}")
    return [Text("least: " + " · ".join(texts))] if texts else []
