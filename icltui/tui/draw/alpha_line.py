"""The patch's strength on one line: a scale from 0 to its largest, each cell a bar of KL there; in words, KL now.

Strengths with their KL enter, segments leave. What is not known yet is a dot.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from icltui.tui.draw.colormap import Ramp, level
from icltui.tui.draw.safe_text import number
from icltui.values.recipe import LARGEST_ALPHA

_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "·"
_CELLS = (41, 21, 11)
"""Of the scale: the most that leave room for the words are taken."""
_WORDS = 36
_FLOOR = 1e-4
"""Nats: less has the lowest bar, so that rounding does not set the scale."""
_MANY = 3
"""Known strengths from which on the least KL says something."""


@dataclass(frozen=True)
class AlphaLine:
    """One state of the line, on ``width`` cells."""

    alpha: float | None
    """The present strength; None where it is still searched for."""
    kl: Mapping[float, float]
    """KL(with context ‖ patched) after the query by strength, in nats."""
    width: int
    ramp: Ramp
    base: Style
    muted: Style

    @property
    def n_cells(self) -> int:
        """Cells of the scale."""
        return next((n for n in _CELLS if n + _WORDS <= self.width), _CELLS[-1])

    @property
    def begin(self) -> int:
        """The first cell of the scale."""
        return len("α 0 ")

    def alpha_at(self, column: int) -> float | None:
        """The strength of a column; None beside the scale."""
        cell = column - self.begin
        return round(LARGEST_ALPHA * cell / (self.n_cells - 1), 2) if 0 <= cell < self.n_cells else None

    def segments(self) -> list[Segment]:
        """The line."""
        return [
            Segment("α", self.base + Style(bold=True)),
            Segment(" 0 ", self.muted),
            *self._scale(),
            Segment(f" {LARGEST_ALPHA:g}  ", self.muted),
            *self._words(),
        ]

    def _scale(self) -> Iterator[Segment]:
        known = {self._cell(alpha): max(kl, _FLOOR) for alpha, kl in self.kl.items()}
        if self.alpha is not None and self.alpha in self.kl:  # of several in one cell the present one counts
            known[self._cell(self.alpha)] = max(self.kl[self.alpha], _FLOOR)
        present = None if self.alpha is None else self._cell(self.alpha)
        low, high = min(known.values(), default=_FLOOR), max(known.values(), default=_FLOOR)
        for cell in range(self.n_cells):
            fraction = level(known.get(cell), low, high, log=True)
            if fraction is None:
                text, look = _UNKNOWN, self.muted
            else:
                text = _BARS[min(len(_BARS) - 1, int(fraction * len(_BARS)))]
                look = self.base if self.ramp.needs_glyphs else self.base + self.ramp.ink(fraction)
            yield Segment(text, look + Style(reverse=True, bold=True) if cell == present else look)

    def _cell(self, alpha: float) -> int:
        return round(alpha / LARGEST_ALPHA * (self.n_cells - 1))

    def _words(self) -> Iterator[Segment]:
        """The fullest words that fit whole: half a number is a wrong one."""
        if self.alpha is None:
            yield Segment("searched for", self.muted)
            return
        yield Segment(alpha := f"{self.alpha:g}", self.base + Style(bold=True))
        taken = self.begin + self.n_cells + len(f" {LARGEST_ALPHA:g}  {alpha}")
        kl, least = next(
            (two for two in self._numbers() if taken + len("".join(two)) <= self.width), ("", "")
        )
        yield Segment(kl, self.base)
        yield Segment(least, self.muted)

    def _numbers(self) -> Iterator[tuple[str, str]]:
        """KL now and the least KL, in fewer and fewer words."""
        now = self.kl.get(self.alpha) if self.alpha is not None else None
        long, short = ("" if now is None else f"  KL {number(now, width).strip()}" for width in (7, 5))
        if len(self.kl) >= _MANY:
            at = min(self.kl, key=self.kl.__getitem__)
            yield long, f"  least {number(self.kl[at], 7).strip()} at {at:g}"
            yield long, f"  least at {at:g}"
            yield short, f"  least at {at:g}"
        yield long, ""
        yield short, ""
