"""What a plot is made of: lines of numbers, axes, and what is said at the cursor."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["line", "points", "bars", "dots", "cloud"]
"""How numbers are drawn: joined; each with a mark; as bars from zero; as dots beside the bars of another; as dots at
places of their own on the x axis.
"""
CROSS, BULLET = "×", "•"


@dataclass(frozen=True)
class Series:
    """One line, or one set of points or bars."""

    name: str
    """Empty: neither the read-out nor the line's end names it."""
    values: Sequence[float | None]
    """From the left to the right."""
    kind: Kind = "line"
    mark: str = BULLET
    """The character of a point."""
    depth: float = 0.5
    """Where its colour is on the ramp, from 0 to 1: layers by depth, others by order."""
    x: Sequence[float] = ()
    """Where points or a cloud are on the x axis, from 0 to 1; by default each at its position."""
    layer: int | None = None
    """The layer whose numbers they are, if the line is one of several layers."""


def _no_place(at: int) -> str:  # noqa: ARG001
    return ""


def _nothing_below(at: int) -> Sequence[str]:  # noqa: ARG001
    return ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot to draw."""

    y_title: str
    """What the y axis measures, with its unit; a log scale is added by the drawing."""
    title: str = ""
    """What else there is to say above the plot."""
    series: Sequence[Series] = ()
    focus: int = 0
    """Which of the series is the bright one."""
    log: bool = False
    """Whether the scale is logarithmic: then only positive numbers are drawn."""
    bounds: tuple[float, float] | None = None
    """The ends of a linear scale; by default those of the numbers."""
    x_title: str = "unit"
    x_names: Sequence[str] = ()
    """Labels of the x axis from left to right; by default the positions."""
    x_scale: "Scale | None" = None
    """The numbers along the x axis, where its positions are no units."""
    x_texts: Sequence[str] = ()
    """A second line of labels: the units' own texts."""
    flags: Sequence[int] | None = None
    """Positions that get a mark above the plot; None: there is no line for them."""
    mark: int | None = None
    """Where the cursor is as long as nobody moves it."""
    place: Callable[[int], str] = _no_place
    """What the cursor is on, at the beginning of the read-out."""
    below: Callable[[int], Sequence[str]] = _nothing_below
    """Lines below the plot, equally many wherever the cursor is."""
    empty: str = "No numbers to draw yet."
    """The text where there is nothing to draw."""

    @property
    def n_positions(self) -> int:
        """How many positions the x axis has."""
        return max((len(line.values) for line in self.series), default=0)


@dataclass(frozen=True)
class Scale:
    """The numbers at the ends of a y axis."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, figure: Figure) -> "Scale | None":
        """The scale on which all numbers of a figure are seen; None where there are none.

        A linear scale begins at zero where the numbers come near to it, and always below bars.
        """
        values = [v for line in figure.series for v in line.values if v is not None and math.isfinite(v)]
        if figure.log:
            values = [value for value in values if value > 0]
        if not values:
            return None
        low, high = min(values), max(values)
        has_bars = any(line.kind == "bars" for line in figure.series)
        if figure.log:
            return cls(low / 2 or low if has_bars else low, high, True)
        if figure.bounds:
            return cls(*figure.bounds, False)
        if has_bars or 0 < low <= high / 3:
            low, high = min(low, 0.0), max(high, 0.0)
        return cls(low, high, False)

    def fraction(self, value: float | None) -> float | None:
        """Where the number is from the bottom, 0, to the top, 1; None where it cannot be drawn."""
        if value is None or not math.isfinite(value) or (self.log and value <= 0):
            return None
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        else:
            value, low, high = value / 4, low / 4, high / 4  # their difference may overflow
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5
