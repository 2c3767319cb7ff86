"""Numbers on both sides of a middle as shades: the background in the middle, two colours away from it.

Up is towards the accent of the theme, down towards its complement (gold and blue, blue and brown), which every eye
tells apart. Where there are too few colours, other characters go up than down.
"""

from functools import cache

from rich.style import Style
from textual.app import App

from icltui.tui.draw.colormap import Ramp, needs_glyphs, terminal_of, with_ink
from icltui.tui.draw.oklab import OKLab, between

GLYPHS = "%=~-·:+*#"
"""Far below the middle to far above it."""
_N_SHADES = 25
_MIDDLE_DARK, _MIDDLE_LIGHT = OKLab(0.235, -0.004, -0.022), OKLab(0.955, 0.001, 0.012)
_GOLD = (
    *(OKLab(0.35, 0.004, 0.04), OKLab(0.48, 0.004, 0.075), OKLab(0.61, 0.0, 0.105)),
    *(OKLab(0.74, -0.008, 0.132), OKLab(0.86, -0.014, 0.15)),
)
_BLUE = (
    *(OKLab(0.35, -0.012, -0.06), OKLab(0.48, -0.025, -0.09), OKLab(0.61, -0.04, -0.105)),
    *(OKLab(0.74, -0.05, -0.09), OKLab(0.86, -0.05, -0.06)),
)
_NAVY = (
    *(OKLab(0.84, -0.008, -0.04), OKLab(0.70, -0.012, -0.08), OKLab(0.56, -0.014, -0.11)),
    *(OKLab(0.42, -0.014, -0.12), OKLab(0.30, -0.014, -0.11)),
)
_BROWN = (
    *(OKLab(0.84, 0.025, 0.06), OKLab(0.70, 0.045, 0.09), OKLab(0.56, 0.055, 0.095)),
    *(OKLab(0.42, 0.05, 0.075), OKLab(0.30, 0.035, 0.055)),
)
_DARK_256 = (117, 74, 31, 24, 17, 233, 58, 94, 136, 178, 221)
_LIGHT_256 = (94, 130, 172, 179, 223, 231, 189, 146, 68, 25, 18)


def diverging(app: App[object], glyphs: bool | None = None) -> Ramp:
    """The scale of the app's theme on its terminal, its middle at 0.5; see :func:`icltui.tui.draw.colormap.ramp`."""
    return _scale(*terminal_of(app), needs_glyphs(app) if glyphs is None else glyphs)


@cache
def _scale(is_dark: bool, is_256: bool, glyphs: bool) -> Ramp:
    colours = _of_256(is_dark) if is_256 else _of_24_bits(is_dark)
    ways = (abs(2 * at / (len(colours) - 1) - 1) for at in range(len(colours)))
    shades = with_ink(colours, ways, is_dark, is_256)
    return Ramp(shades, tuple(Style.parse(colour) for colour in colours), glyphs, GLYPHS)


def _of_24_bits(is_dark: bool) -> list[str]:
    middle, up, down = (_MIDDLE_DARK, _GOLD, _BLUE) if is_dark else (_MIDDLE_LIGHT, _NAVY, _BROWN)
    stops = (*reversed(down), middle, *up)
    return [between(stops, at / (_N_SHADES - 1)).hex for at in range(_N_SHADES)]


def _of_256(is_dark: bool) -> list[str]:
    return [f"color({index})" for index in (_DARK_256 if is_dark else _LIGHT_256)]
