"""A session's measures as one figure for a paper: heatmap, curves, and what the query is answered after each unit.

A session enters, the bytes of an SVG or a PNG leave; the same session gives the same bytes on the same Matplotlib.
Lines differ by dash and mark as well as by colour, and the shades' order is kept in grey.
"""

import importlib.util
import io
import logging
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from icltui.report.figure_data import curve_layers, heat, top_tokens
from icltui.report.measure_json_csv import unit_texts
from icltui.report.measures import MEASURES
from icltui.text.escape import visible
from icltui.values import Measurement, Session
from icltui.values.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_INSTALL = "pip install 'icltui[figure]'"
_WIDTH, _DPI = 7.2, 200
"""Inches across two columns of a paper, and dots per inch of a PNG."""
_TEXTS = 48
"""With more units than this, the axis has their numbers instead of their texts."""
_LONGEST = 14
_SPREAD = 20
"""Shades follow the logarithm where the largest number is so many times the least."""
_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so it is there
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "text.parse_math": False,  # a dollar in a token is a dollar
    "svg.hashsalt": "icltui",
    "svg.fonttype": "path",
    "image.composite_image": False,
}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
_MARKS = "osd^vx"
_STARTS = {"grow": "added", "shrink": "taken away from the left", "drop": "left out alone"}


def figure(session: Session, kind: Literal["svg", "png"]) -> bytes:
    """The figure of a session that holds measures.

    Raises:
        BadInput: Matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise BadInput(f"figures need Matplotlib, which is not installed: {_INSTALL}")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _bytes(session, kind)


def _bytes(session: Session, kind: Literal["svg", "png"]) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(_SETTINGS)
        drawn = Figure(figsize=(_WIDTH, 7.4), layout="constrained")
        FigureCanvasAgg(drawn)
        _draw(drawn, session)
        metadata = {"Date": None, "Creator": "icltui"} if kind == "svg" else {"Software": "icltui"}
        drawn.savefig(page, format=kind, dpi=_DPI, metadata=metadata)
    return page.getvalue()


def _draw(drawn: "Figure", session: Session) -> None:
    measurement = session.measurement
    assert measurement is not None
    n_axes = 3 if measurement.predictions else 2
    axes: list[Axes] = list(drawn.subplots(n_axes, 1, sharex=True, squeeze=False)[:, 0])
    model = f" · {session.model.name} · {session.model.dtype}" if session.model else ""
    drawn.suptitle(_drawable(f"{session.title or 'icltui'}{model}"), fontsize=10)
    _draw_heat(drawn, axes[0], measurement)
    _draw_curves(axes[1], measurement)
    if measurement.predictions:
        _draw_answers(axes[2], measurement)
    _label_units(axes[-1], measurement)


def _draw_heat(drawn: "Figure", axes: "Axes", measurement: Measurement) -> None:
    """‖δ‖ of every unit at every layer; what is undefined stays white."""
    from matplotlib.ticker import LogLocator

    grid = heat(measurement, "delta_norm")
    layers, n_units = measurement.layers, len(grid[0]) if grid else 0
    norm, scale = _scale([value for row in grid for value in row if math.isfinite(value)])
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


def _scale(values: Sequence[float]) -> tuple["Normalize", str]:
    """Logarithmic where the largest number would leave nothing to be seen of the others."""
    from matplotlib.colors import LogNorm, Normalize

    positive = [value for value in values if value > 0]
    if len(positive) == len(values) > 0 and max(positive) > _SPREAD * min(positive):
        return LogNorm(min(positive), max(positive)), ", log scale"
    return Normalize(), ""


def _draw_curves(axes: "Axes", measurement: Measurement) -> None:
    """‖ΔW‖ as a share of ‖W‖, a line for each of a few layers."""
    layers = curve_layers(measurement.layers)
    values = dict(zip(measurement.layers, heat(measurement, "relative_patch_norm"), strict=True))
    for at, layer in enumerate(layers):
        axes.plot(values[layer], label=f"layer {layer}", **_line(at, len(values[layer])))
    some = "" if len(layers) == len(measurement.layers) else f", {len(layers)} of {len(values)} layers"
    axes.set_title(f"relative update of the weights, {MEASURES['relative_patch_norm'].symbol}{some}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _draw_answers(axes: "Axes", measurement: Measurement) -> None:
    """The probability of each token that is the most probable somewhere; a mark where another takes over."""
    lines = top_tokens(measurement)
    for at, (text, values, is_cut) in enumerate(lines):
        label = f"“{_drawable(text, _LONGEST)}”{' *' if is_cut else ''}"
        axes.plot(values, label=label, **_line(at, len(values)))
    cut = " (*: gaps where it is not among those recorded)" if any(is_cut for *_, is_cut in lines) else ""
    axes.set_title(f"probability of the next token{cut}")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _line(at: int, n_points: int) -> dict[str, Any]:
    at %= len(_COLOURS)
    return {
        "color": _COLOURS[at],
        "linestyle": _DASHES[at],
        "marker": _MARKS[at],
        "markevery": max(1, n_points // 16),
    }


def _label_units(axes: "Axes", measurement: Measurement) -> None:
    texts = unit_texts(measurement)
    axes.set_xlabel(f"unit of the context, {_STARTS[measurement.dynamics]}")
    if len(texts) <= _TEXTS:
        labels = [f"{_drawable(text, _LONGEST)} #{unit}" for unit, text in enumerate(texts)]
        axes.set_xticks(range(len(texts)), labels, rotation=90)


def _drawable(text: str, longest: int = 80) -> str:
    """``text`` in characters that the font has; the others as their numbers."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = "".join(c if ord(c) in known else f"\\u{ord(c):04x}" for c in visible(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
