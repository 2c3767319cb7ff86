"""A session's measures as one figure for a paper: heatmap, curves, and what the query is answered after each unit.

A session enters, the bytes of an SVG or a PNG leave.
"""

import math
from typing import TYPE_CHECKING

from icltui.report.figure_data import curve_layers, heat, top_tokens
from icltui.report.figure_style import FigureFormat, drawable, line_style, render_figure, shades
from icltui.report.measure_json_csv import unit_texts
from icltui.report.measures import MEASURES
from icltui.values import Measurement, Session

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

HEIGHT = 7.4
"""Inches of the page."""
_TEXTS = 48
"""With more units than this, the axis has their numbers instead of their texts."""
_LONGEST = 14
_STARTS = {"grow": "added", "shrink": "taken away from the left", "drop": "left out alone"}


def figure(session: Session, kind: FigureFormat) -> bytes:
    """The figure of a session that holds measures.

    Raises:
        BadInput: Matplotlib is not installed.
    """
    return render_figure(lambda drawn: draw_measures(drawn, session), HEIGHT, kind, "figure")


def draw_measures(drawn: "FigureBase", session: Session) -> None:
    """Heatmap, curves and answers, one below the other, on a page or a part of one."""
    measurement = session.measurement
    assert measurement is not None
    n_axes = 3 if measurement.predictions else 2
    axes: list[Axes] = list(drawn.subplots(n_axes, 1, sharex=True, squeeze=False)[:, 0])
    model = f" · {session.model.name} · {session.model.dtype}" if session.model else ""
    drawn.suptitle(drawable(f"{session.title or 'icltui'}{model}"), fontsize=10)
    _draw_heat(drawn, axes[0], measurement)
    _draw_curves(axes[1], measurement)
    if measurement.predictions:
        _draw_answers(axes[2], measurement)
    _label_units(axes[-1], measurement)


def _draw_heat(drawn: "FigureBase", axes: "Axes", measurement: Measurement) -> None:
    """‖δ‖ of every unit at every layer; what is undefined stays white."""
    from matplotlib.ticker import LogLocator

    grid = heat(measurement, "delta_norm")
    layers, n_units = measurement.layers, len(grid[0]) if grid else 0
    norm, scale = shades([value for row in grid for value in row if math.isfinite(value)])
    # Shades by order of layer, since not every layer need be measured.
    image = axes.imshow(
        grid,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        cmap="cividis",
        extent=(-0.5, n_units - 0.5, -0.5, len(layers) - 0.5),
        norm=norm,
    )
    step = math.ceil(len(layers) / 12)
    axes.set_yticks(range(0, len(layers), step), [str(layer) for layer in layers[::step]])
    axes.set_ylabel("layer")
    what = f"how far each unit moves the MLP's input, {MEASURES['delta_norm'].symbol}"
    axes.set_title(f"{what} ({measurement.dynamics}{scale})")
    bar = drawn.colorbar(image, cax=axes.inset_axes((1.015, 0, 0.02, 1)), format="%g")
    if scale:
        bar.set_ticks(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.minorticks_off()


def _draw_curves(axes: "Axes", measurement: Measurement) -> None:
    """‖ΔW‖ as a share of ‖W‖, a line for each of a few layers."""
    layers = curve_layers(measurement.layers)
    values = dict(zip(measurement.layers, heat(measurement, "relative_patch_norm"), strict=True))
    for at, layer in enumerate(layers):
        axes.plot(values[layer], label=f"layer {layer}", **line_style(at, len(values[layer])))
    some = "" if len(layers) == len(measurement.layers) else f", {len(layers)} of {len(values)} layers"
    axes.set_title(f"relative update of the weights, {MEASURES['relative_patch_norm'].symbol}{some}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _draw_answers(axes: "Axes", measurement: Measurement) -> None:
    """The probability of each token that is the most probable somewhere; a mark where another takes over."""
    lines = top_tokens(measurement)
    for at, (text, values, is_cut) in enumerate(lines):
        label = f"“{drawable(text, _LONGEST)}”{' *' if is_cut else ''}"
        axes.plot(values, label=label, **line_style(at, len(values)))
    cut = " (*: gaps where it is not among those recorded)" if any(is_cut for *_, is_cut in lines) else ""
    axes.set_title(f"probability of the next token{cut}")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _label_units(axes: "Axes", measurement: Measurement) -> None:
    texts = unit_texts(measurement)
    axes.set_xlabel(f"unit of the context, {_STARTS[measurement.dynamics]}")
    if len(texts) <= _TEXTS:
        labels = [f"{drawable(text, _LONGEST)} #{unit}" for unit, text in enumerate(texts)]
        axes.set_xticks(range(len(texts)), labels, rotation=90)
