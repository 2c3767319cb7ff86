"""Numbers as shades: a level between two bounds, and the colour or the character that shows it.

The colours are xterm-256 indices, as SSH often leaves no more; their lightness rises evenly, so the ramp reads in
grey too. Where there are fewer colours, characters of rising ink take their place.
"""

import math

from rich.style import Style
from textual.app import App

COLOURS = (17, 54, 90, 126, 162, 198, 203, 209, 215, 221, 228)
"""Dark to light: lightness L* 7, 24, 32, 39, 47, 55, 62, 69, 78, 87, 98."""
GLYPHS = "·:-=+*#%@"
"""Little ink to much; a blank means not known."""

_INK_DARK, _INK_LIGHT = "color(16)", "color(231)"
_FIRST_LIGHT = 6
"""From this colour on, dark ink reads better."""


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


def colour(fraction: float) -> Style:
    """The style of a cell at ``fraction`` of the ramp: its colour as background, and ink that reads on it."""
    return _STYLES[_step(fraction, len(COLOURS))]


_STYLES = tuple(
    Style.parse(f"{_INK_DARK if step >= _FIRST_LIGHT else _INK_LIGHT} on color({index})")
    for step, index in enumerate(COLOURS)
)


def glyph(fraction: float) -> str:
    """The character at ``fraction`` of the ramp."""
    return GLYPHS[_step(fraction, len(GLYPHS))]


def needs_glyphs(app: App[object]) -> bool:
    """Whether the terminal shows no colours, or too few for the ramp."""
    if app.no_color:
        return True
    # Without a terminal (tests, screenshots) the console knows no colour system.
    return not app.is_headless and app.console.color_system in ("standard", "windows")
