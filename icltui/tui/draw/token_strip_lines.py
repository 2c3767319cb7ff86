"""The token strip's lines: the context's own text, each unit on the shade of its number, below a legend and a read-out.

A measurement, a page of text and a shade enter; segments of styled text leave. Where there are no colours, a line of
characters of rising ink is under each line of text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from rich.segment import Segment
from rich.style import Style

from icltui.report.measures import CHANGED
from icltui.tui.draw.colormap import glyph
from icltui.tui.draw.safe_text import fit, number
from icltui.tui.draw.shaded_lines import TOKEN_WIDTH, ShadedLines
from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.draw.wrap import Piece, WrappedText
from icltui.tui.state.shade_bounds import Bounds

HEADER = 4
"""The choice of shades, the legend, the read-out, and a blank line."""
_CHOSEN = Style(reverse=True, bold=True)
_SELECTED = Style(reverse=True, bold=True, underline=True)


@dataclass(frozen=True)
class TokenStripLines(ShadedLines):
    """One state of the strip; its shades are those of one layer."""

    page: WrappedText

    @cached_property
    def bounds(self) -> Bounds | None:
        """The numbers at the ends of the ramp, at the shown layer."""
        return self.coloring.bounds(self.measured, self.layer, positive=self.is_log)

    @property
    def lines_per_row(self) -> int:
        """Lines of the terminal for one line of text."""
        return 2 if self.glyphs else 1

    def header(self, line: int) -> list[Segment]:
        """The shades there are; the legend, or what is needed for one; the read-out of the selected unit; a blank."""
        match line:
            case 0:
                return list(self._choice())
            case 1:
                return self._legend()
            case 2:
                return [Segment(f" {self._readout()}", self.strong)]
        return []

    def _choice(self) -> Iterator[Segment]:
        yield Segment(" s ", self.strong)
        for coloring in COLORINGS.values():
            yield Segment(
                f" {coloring.title} ", self.base + _CHOSEN if coloring is self.coloring else self.muted
            )

    def _legend(self) -> list[Segment]:
        if need := self.coloring.need(self.measured):
            return [Segment(f" {self.coloring.title}: {need}", self.base)]
        return list(self.colorbar())

    def _readout(self) -> str:
        layer = f"layer {self.layer}  " if self.coloring.is_by_layer else ""
        return f"{self.number()}  {layer}unit {self.unit} {self.token()}{self._next()}"

    def _next(self) -> str:
        prediction = self.measured.prediction(self.unit)
        if prediction is None or not prediction.top:
            return ""
        likeliest = prediction.top[0]
        mark = CHANGED if self.measured.has_changed(self.unit) else ""
        token = fit(likeliest.token.text, TOKEN_WIDTH).rstrip()
        return f"  next {mark}{token} {number(likeliest.probability, 5).strip()}"

    def levels(self, row: int) -> tuple[str, ...]:
        """The shades of one line of text, to compare with what was painted."""
        return tuple(self._level_key(piece.unit) for piece in self.page.lines[row])

    def _level_key(self, unit: int) -> str:
        fraction = self.fraction(unit, self.layer)
        if fraction is None:
            return "·" if self.measured.is_measured(unit) else ""
        return glyph(fraction) if self.glyphs else str(self.ramp.style(fraction))

    def line(self, line: int) -> list[Segment]:
        """One line below the header, counted from the first."""
        row, is_ink = divmod(line, self.lines_per_row)
        if not 0 <= row < len(self.page.lines):
            return []
        looks = [self._ink(piece) if is_ink else self._text(piece) for piece in self.page.lines[row]]
        # Neighbours of one look become one segment: over a slow line each costs its escape sequence.
        runs = groupby(looks, key=lambda look: look[1])
        return [Segment(" ", self.base), *(Segment("".join(t for t, _ in run), style) for style, run in runs)]

    def _text(self, piece: Piece) -> tuple[str, Style]:
        if piece.unit == self.unit:
            return piece.text, self.base + _SELECTED
        if not self.measured.is_measured(piece.unit):
            return piece.text, self.muted
        fraction = None if self.glyphs else self.fraction(piece.unit, self.layer)
        return piece.text, self.base if fraction is None else self.base + self.ramp.style(fraction)

    def _ink(self, piece: Piece) -> tuple[str, Style]:
        fraction = self.fraction(piece.unit, self.layer)
        return (" " if fraction is None else glyph(fraction)) * piece.width, self.muted
