"""A session as one picture to look at, as in a notebook: its figure, and beside it the controls and the verdict.

A session enters, the bytes of an SVG leave: the same for the same session, on a white page.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from icltui.report.figure import HEIGHT, draw_measures
from icltui.report.figure_style import COLOURS, WIDTH, drawable, render_figure
from icltui.report.generate import lane_title
from icltui.report.verify import logits_line, verdict_line
from icltui.text.tables import number
from icltui.values import LANES, Session
from icltui.values.recipe import patch_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BESIDE = 3.4
"""Inches of the part beside the figure."""
_LINE, _LINES, _SAID = 46, 34, 240
"""Characters in a line of the verdict, its most lines, and the most characters of a lane."""
_DPI, _MOST_POINTS = 90, 260
"""Dots per inch of the heatmap; points of a line."""
_FIGURES = re.compile(rb' d="[^"]*"|translate\([^)]*\)')
"""Shapes and places, whose numbers are rounded to a tenth of a point: half the bytes where there are many units."""
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_TITLES = {
    "plain": "no patch",
    "weights": "ΔW alone",
    "shift": "Δb alone",
    "patched": "the patch",
    "random": "random patch",
    "shuffled": "shuffled context",
}
_GOOD, _BAD = COLOURS[2], COLOURS[1]


def session_picture(session: Session) -> bytes:
    """The picture of a session that holds measures, as SVG.

    Raises:
        BadInput: Matplotlib is not installed.
    """
    drawn = render_figure(lambda page: _draw(page, session), HEIGHT, "svg", "notebook", WIDTH + _BESIDE, _DPI)
    return _FIGURES.sub(
        lambda part: re.sub(rb"(\.\d)\d+", rb"\1", part[0]).replace(b" \n", b""), _COMMENT.sub(b"", drawn)
    )


def _draw(page: "Figure", session: Session) -> None:
    parts: Any = page.subfigures(1, 2, width_ratios=(WIDTH, _BESIDE))
    left, right = parts
    draw_measures(left, session)
    _thin_out(left.axes)
    errors = controls(session)
    bars, words = right.subplots(2, 1, height_ratios=(1, 1.6) if errors else (0.01, 2))
    if errors:
        _draw_controls(bars, session, errors)
    else:
        bars.set_axis_off()
    words.set_axis_off()
    is_bad = session.verification is not None and not session.verification.ok
    lines = [
        line for text in verdict_lines(session) for line in textwrap.wrap(drawable(text, 400), _LINE) or [""]
    ]
    shown = lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "…"]
    words.text(
        0, 1, "\n".join(shown), va="top", fontsize=7, color=_BAD if is_bad else "black", linespacing=1.5
    )


def _thin_out(every: "Sequence[Axes]") -> None:
    """Leave of a line's points the largest of each few neighbours, so that no picture grows with its session."""
    for line in (line for axes in every for line in axes.lines):
        data: Any = line.get_data()
        x, y = ([float(value) for value in values] for values in data)
        share = neighbours(len(y))
        if share == 1:
            continue
        bins = (range(begin, min(begin + share, len(y))) for begin in range(0, len(y), share))
        kept = [max(places, key=lambda at: -math.inf if math.isnan(y[at]) else y[at]) for places in bins]
        line.set_data([x[at] for at in kept], [y[at] for at in kept])
        line.set_markevery(max(1, len(kept) // 16))


def neighbours(n_points: int) -> int:
    """Of how many neighbours one point is drawn, in a line of ``n_points``."""
    return math.ceil(n_points / _MOST_POINTS)


def controls(session: Session) -> dict[str, float | None]:
    """The largest error of the logits after the query by what was done: of the proof, else of the lanes."""
    proof, made = session.verification, session.generation
    if proof is not None:
        return {
            name: error.linf for name, error in {**proof.logits, **proof.controls}.items() if name in _TITLES
        }
    return {} if made is None else {name: error.linf for name, error in made.fit.items() if name in _TITLES}


def _draw_controls(axes: "Axes", session: Session, errors: dict[str, float | None]) -> None:
    """A bar for each error, on a logarithmic axis that begins below the noise floor."""
    proof = session.verification
    known = [value for value in errors.values() if value] + ([proof.noise_floor] if proof else [])
    least = min((value for value in known if value > 0), default=1e-6) / 3
    for at, (name, value) in enumerate(reversed(errors.items())):
        axes.barh(at, max(value or 0.0, least), color=_GOOD if name == "patched" else COLOURS[4])
        axes.text(max(value or 0.0, least), at, f" {number(value)}", va="center", fontsize=7)
    axes.set_yticks(range(len(errors)), [_TITLES[name] for name in reversed(errors)])
    axes.set_xscale("log")
    axes.set_xlim(least, max(known, default=1.0) * 30)
    if proof is not None and proof.noise_floor > 0:
        axes.axvline(proof.noise_floor, color="black", linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter("{x:g}")
    floor = "\n(dotted: noise floor)" if proof is not None else ""
    axes.set_title(f"L∞ from the logits with the context{floor}", fontsize=8)


def verdict_lines(session: Session) -> Iterator[str]:
    """What the proof and the lanes of the session say, a paragraph each."""
    if (proof := session.verification) is not None:
        yield f"proof: {verdict_line(proof)}"
        yield logits_line(proof)
        yield ""
    if (made := session.generation) is not None:
        for lane in (lane for lane in LANES if lane in made.lanes):
            yield lane_title(made, lane)
            yield f"    {made.lanes[lane].text[:_SAID]}"
        yield f"patch: {patch_words(made.recipe)}"
        if made.patch is not None and made.patch.verdict:
            yield made.patch.verdict
    if session.verification is None and session.generation is None:
        yield "No controls: nothing was proved or generated."
    n_units = len(session.measurement.tokens.units) if session.measurement is not None else 0
    if (share := neighbours(n_units + 1)) > 1:
        yield f"Of every {share} units the curves show the largest value."
