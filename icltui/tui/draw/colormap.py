"""Numbers as shades: a level between two bounds, and the colour or the character that shows it.

One ramp goes from the background to the accent of the theme, lightness rising (on light themes falling) in equal
steps, by way of blue and grey, or of grey and blue, as cividis does (Nuñez et al. 2018): it reads in grey, and to
every eye. A terminal of 256 colours gets the same ramp from its own colours; where there are fewer, characters of
rising ink take their place.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from rich.segment import Segment
from rich.style import Style
from textual.app import App

from icltui.tui.draw.oklab import OKLab, between

GLYPHS = "·:-=+*#%@"
"""Little ink to much; a blank means not known."""

_N_SHADES = 18
"""Neighbours of one shade are sent as one, so that more of them would be more bytes."""
_DARK = (
    *(OKLab(0.235, -0.004, -0.022), OKLab(0.32, -0.012, -0.065), OKLab(0.41, -0.006, -0.058)),
    *(OKLab(0.50, -0.002, -0.030), OKLab(0.59, -0.002, 0.004), OKLab(0.68, -0.006, 0.048)),
    *(OKLab(0.77, -0.012, 0.095), OKLab(0.86, -0.014, 0.138), OKLab(0.93, -0.02, 0.165)),
)
_LIGHT = (
    *(
        OKLab(0.955, 0.001, 0.012),
        OKLab(0.885, 0.001, 0.03),
        OKLab(0.80, 0.0, 0.022),
        OKLab(0.71, -0.002, 0.0),
    ),
    *(OKLab(0.62, -0.004, -0.028), OKLab(0.53, -0.008, -0.06), OKLab(0.44, -0.012, -0.088)),
    *(OKLab(0.36, -0.014, -0.105), OKLab(0.29, -0.014, -0.1)),
)
_DARK_256 = (233, 17, 18, 24, 60, 66, 102, 144, 179, 185, 227)
_LIGHT_256 = (231, 230, 187, 145, 103, 67, 61, 25, 19, 18, 17)
"""Colours of xterm's cube near the two ramps, their lightness rising and falling as those do."""
_FIRST_READABLE = 0.45
"""Ink is of the ramp from here on: the beginning is too near the background."""
_MIDDLE = 0.5
"""From this share of the ramp on, the other ink reads better."""


@dataclass(frozen=True, eq=False)
class Ramp:
    """Shades from the background to the accent."""

    shades: tuple[Style, ...]
    """Each colour as background, with ink that reads on it."""
    inks: tuple[Style, ...]
    """Each colour as ink on the background of the theme, all of them readable there."""
    needs_glyphs: bool
    """Whether the terminal shows no colours, or too few for the ramp."""
    glyphs: str = GLYPHS
    """The characters that then take their place."""

    def style(self, fraction: float) -> Style:
        """The background of a cell at ``fraction`` (0 to 1) of the ramp, and ink that reads on it."""
        return self.shades[_step(fraction, len(self.shades))]

    def ground(self, fraction: float) -> Style:
        """The background alone, for cells without text: over a slow line an ink costs as much as a background."""
        return self._grounds[_step(fraction, len(self.shades))]

    @cached_property
    def _grounds(self) -> tuple[Style, ...]:
        return tuple(shade.background_style for shade in self.shades)

    def ink(self, fraction: float) -> Style:
        """The ink of a bar or a line at ``fraction`` of the ramp."""
        return self.inks[_step(fraction, len(self.inks))]

    def glyph(self, fraction: float) -> str:
        """The character at ``fraction`` of the ramp."""
        return self.glyphs[_step(fraction, len(self.glyphs))]

    def bar(self, base: Style, n_cells: int = 12) -> list[Segment]:
        """The ramp itself, from its beginning to its end, in ``n_cells`` cells."""
        if self.needs_glyphs:
            return [Segment(self.glyphs, base)]
        return [Segment(" ", base + self.style(at / (n_cells - 1))) for at in range(n_cells)]


def ramp(app: App[object], glyphs: bool | None = None) -> Ramp:
    """The ramp of the app's theme on its terminal; ``glyphs`` decides about characters, whatever the terminal."""
    return _ramp(*terminal_of(app), needs_glyphs(app) if glyphs is None else glyphs)


def terminal_of(app: App[object]) -> tuple[bool, bool]:
    """Whether the theme is dark, and whether the terminal has 256 colours and no more."""
    return app.current_theme.dark, not app.is_headless and app.console.color_system == "256"


def with_ink(colours: Sequence[str], ways: Iterable[float], is_dark: bool, is_256: bool) -> tuple[Style, ...]:
    """Each colour as background, with ink that reads on it; ``ways``: how far it is from the theme's background."""
    light, dark = ("color(231)", "color(16)") if is_256 else ("#f5f6f8", "#101216")
    near, far = (light, dark) if is_dark else (dark, light)
    inks = (near if way < _MIDDLE else far for way in ways)
    return tuple(Style.parse(f"{ink} on {colour}") for ink, colour in zip(inks, colours, strict=True))


@cache
def _ramp(is_dark: bool, is_256: bool, glyphs: bool) -> Ramp:
    colours = _of_256(is_dark) if is_256 else _of_24_bits(is_dark)
    n = len(colours)
    shades = with_ink(colours, (at / (n - 1) for at in range(n)), is_dark, is_256)
    inks = tuple(Style.parse(colour) for colour in colours[int(_FIRST_READABLE * n) :])
    return Ramp(shades, inks, glyphs)


def _of_24_bits(is_dark: bool) -> list[str]:
    stops = _DARK if is_dark else _LIGHT
    return [between(stops, at / (_N_SHADES - 1)).hex for at in range(_N_SHADES)]


def _of_256(is_dark: bool) -> list[str]:
    return [f"color({index})" for index in (_DARK_256 if is_dark else _LIGHT_256)]


def level(value: float | None, low: float, high: float, log: bool) -> float | None:
    """``value`` as a fraction of the way from ``low`` (0.0) to ``high`` (1.0); None if it is not a finite number.

    A log scale needs ``low > 0``, and is linear otherwise; zero is 0.0 on it. Where ``low`` equals ``high`` every value
    is 0.5.
    """
    if value is None or not math.isfinite(value):
        return None
    if high <= low:
        return 0.5
    if log and low > 0:
        if value <= 0:
            return 0.0
        value, low, high = math.log(value), math.log(low), math.log(high)
    elif math.isinf(high - low):
        value, low, high = value / 2, low / 2, high / 2
    # Equal logarithms of unequal numbers: closer than floats can tell.
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


def _step(fraction: float, n: int) -> int:
    return min(n - 1, int(fraction * n))


def glyph(fraction: float) -> str:
    """The character at ``fraction`` of the ramp."""
    return GLYPHS[_step(fraction, len(GLYPHS))]


def needs_glyphs(app: App[object]) -> bool:
    """Whether the terminal shows no colours, or too few for the ramp."""
    if app.no_color:
        return True
    # Without a terminal (tests, screenshots) the console knows no colour system.
    return not app.is_headless and app.console.color_system in ("standard", "windows")
