"""How every figure looks: settings, colours with dashes and marks, and text in characters that the font has.

A function that draws enters, the bytes of an SVG or a PNG leave; the same drawing gives the same bytes on the same
Matplotlib. Lines differ by dash and mark as well as by colour, and the shades' order is kept in grey.
"""

import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from icltui.text.escape import visible
from icltui.values.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

FigureFormat = Literal["svg", "png"]
FORMATS: tuple[FigureFormat, ...] = get_args(FigureFormat)
WIDTH = 7.2
"""Inches across two columns of a paper."""
_DPI = 200
"""Dots per inch of a PNG, and of a heatmap in an SVG."""
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
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
MARKS = "osd^vx"


def render_figure(
    draw: Callable[["Figure"], None],
    height: float,
    kind: FigureFormat,
    extra: str,
    width: float = WIDTH,
    dpi: int = _DPI,
) -> bytes:
    """What ``draw`` draws on an empty page, ``width`` by ``height`` inches; heatmaps have ``dpi`` dots per inch.

    Raises:
        BadInput: Matplotlib is not installed; the line names the ``extra`` that brings it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise BadInput(f"figures need Matplotlib, which is not installed: pip install 'icltui[{extra}]'")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _bytes(draw, (width, height), kind, dpi)


def _bytes(
    draw: Callable[["Figure"], None], size: tuple[float, float], kind: FigureFormat, dpi: int
) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    page = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(_SETTINGS)
        drawn = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(drawn)
        draw(drawn)
        metadata = {"Date": None, "Creator": "icltui"} if kind == "svg" else {"Software": "icltui"}
        drawn.savefig(page, format=kind, dpi=dpi, metadata=metadata)
    return page.getvalue()


def line_style(at: int, n_points: int) -> dict[str, Any]:
    """Colour, dash and mark of a figure's line number ``at``, with at most 16 marks on it."""
    at %= len(COLOURS)
    return {
        "color": COLOURS[at],
        "linestyle": _DASHES[at],
        "marker": MARKS[at],
        "markevery": max(1, n_points // 16),
    }


def shades(values: Sequence[float]) -> tuple["Normalize", str]:
    """The scale of a heatmap of these finite values, and what its title says of it: logarithmic where the largest
    number would leave nothing to be seen of the others.
    """
    from matplotlib.colors import LogNorm, Normalize

    positive = [value for value in values if value > 0]
    if len(positive) == len(values) > 0 and max(positive) > _SPREAD * min(positive):
        return LogNorm(min(positive), max(positive)), ", log scale"
    return Normalize(), ""


def drawable(text: str, longest: int = 80) -> str:
    """``text`` in characters that the font has; the others as their numbers."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    shown = "".join(c if ord(c) in known else f"\\u{ord(c):04x}" for c in visible(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
