"""The lines of one lane: its text, each token in the shade of a number; the token at the cursor; its alternatives.

The steps of a lane enter, segments of styled text leave. The text scrolls; the read-out and the alternatives keep their
lines at the bottom, which are the same in all lanes. What differs from the first lane is underlined, since colour alone
may not show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from icltui.tui.draw.bar import P_WIDTH, bar, probability
from icltui.tui.draw.colormap import Ramp, glyph, level
from icltui.tui.draw.safe_text import CURSOR, display, fit, number
from icltui.tui.draw.wrap import Piece, WrappedText, wrap_units
from icltui.values import Candidate, LaneStep

LaneShade = Literal["KL", "p"]
"""What the tokens are shaded by: the divergence from the first lane's distribution; or how improbable they are."""
KL_BOUNDS = (0.01, 10.0)
"""Nats at the ends of the ramp; below the first a token has no shade."""
SURE = 0.9
"""The probability from which on a token has no shade."""
N_ALTERNATIVES = 5
_DRAWN = "•"
"""Mark of the alternative that the lane said."""
_ENDED = "ended: "
_BLANK = "·"
"""The space that a text begins with."""
_MARKED = Style(underline=True, bold=True)
_FORCED = Style(italic=True)


class LaneStyles(NamedTuple):
    """The styles of a lane."""

    base: Style
    muted: Style
    strong: Style
    bar: Style
    cursor: Style
    """The token at the cursor in the pane that has the focus."""
    other_cursor: Style
    """The token at the cursor in other panes."""


class PaneRows(NamedTuple):
    """How many lines each part of the pane has."""

    text: int
    readout: int
    alternatives: int


def share_rows(height: int) -> PaneRows:
    """The parts of a pane of ``height`` lines; the text has most, and at least two of them.

    >>> share_rows(11), share_rows(5)
    (PaneRows(text=4, readout=2, alternatives=5), PaneRows(text=2, readout=1, alternatives=2))
    """
    readout = 2 if height >= 10 else 1 if height >= 4 else 0
    alternatives = max(0, min(N_ALTERNATIVES, height - readout - 2)) if readout else 0
    return PaneRows(height - readout - alternatives, readout, alternatives)


def pieces(steps: Sequence[LaneStep]) -> list[str]:
    """What each token adds to the text; the token itself where the text does not say, as with parts of a character."""
    texts = ["", *(step.text for step in steps)]
    return [
        after[len(before) :] if after.startswith(before) and after != before else step.token.text
        for step, before, after in zip(steps, texts, texts[1:], strict=False)
    ]


@dataclass(frozen=True)
class LaneLines:
    """One state of a lane, ready to be drawn line by line on ``width`` cells."""

    steps: tuple[LaneStep, ...]
    first: tuple[LaneStep, ...] | None
    """The steps of the first lane; None of that lane itself."""
    hint: str
    """What is written where there is no text."""
    n_forced: int
    """How many tokens the lane was made to begin with."""
    at: int
    """The index of the token at the cursor."""
    chosen: int
    """Which of its alternatives is chosen."""
    has_focus: bool
    shade: LaneShade
    width: int
    rows: PaneRows
    styles: LaneStyles
    ramp: Ramp

    @cached_property
    def page(self) -> WrappedText:
        """The text in lines; at its end, where the model ended it, by what token."""
        if not self.steps:
            parts = (
                wrap_units([(-1, part)], self.width + 1).lines if part else ((),)
                for part in self.hint.split("\n")
            )
            return WrappedText(tuple(line for lines in parts for line in lines))
        units = [
            (step.index, piece if step.index or piece[:1] != " " else f"{_BLANK}{piece[1:]}")
            for step, piece in zip(self.steps, pieces(self.steps), strict=True)
            if not step.is_end
        ]
        lines = wrap_units(units, self.width + 1).lines  # a blank may be in the margin
        if (last := self.steps[-1]).is_end:
            how = f"{_ENDED[:-2]} at once: " if len(self.steps) == 1 else _ENDED
            text = fit(f"{how}{display(last.token.text)}", self.width).rstrip()
            lines = (*lines, (Piece(last.index, text, 0, cell_len(text)),))
        return WrappedText(lines)

    @property
    def step(self) -> LaneStep | None:
        """The token at the cursor."""
        return self.steps[self.at] if 0 <= self.at < len(self.steps) else None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The alternatives in sight."""
        return self.step.top[: self.rows.alternatives] if self.step else ()

    def differs(self, index: int) -> bool:
        """Whether the token is another one than the first lane's."""
        if self.first is None or index >= len(self.steps):
            return False
        return index >= len(self.first) or self.steps[index].token.id != self.first[index].token.id

    def fraction(self, index: int) -> float | None:
        """The shade of a token; None where it has none."""
        step = self.steps[index]
        if self.shade == "KL":
            kl = None if self.first is None else divergence(step)
            return None if kl is None or kl < KL_BOUNDS[0] else level(kl, *KL_BOUNDS, log=True)
        p = step.probability
        return None if p is None or p >= SURE else 1 - p / SURE

    @property
    def lines_per_row(self) -> int:
        """Lines of the terminal for one line of text: without colours, characters of rising ink are under it."""
        return 2 if self.ramp.needs_glyphs and self.steps else 1

    @property
    def n_lines(self) -> int:
        """Lines that the whole text takes."""
        return len(self.page.lines) * self.lines_per_row

    def text_line(self, line: int) -> list[Segment]:
        """One line of the text, counted from the first."""
        row, is_ink = divmod(line, self.lines_per_row)
        if not 0 <= row < len(self.page.lines):
            return []
        return [self._ink(piece) if is_ink else self._text(piece) for piece in self.page.lines[row]]

    def _text(self, piece: Piece) -> Segment:
        is_hint = piece.unit < 0
        return Segment(piece.text, self.styles.muted if is_hint else self._look(piece.unit))

    def _ink(self, piece: Piece) -> Segment:
        fraction = self.fraction(piece.unit)
        return Segment((" " if fraction is None else glyph(fraction)) * piece.width, self.styles.muted)

    def _look(self, index: int) -> Style:
        styles, fraction = self.styles, self.fraction(index)
        look = styles.muted if self.steps[index].is_end else styles.base
        if fraction is not None and not self.ramp.needs_glyphs:
            look = look + self.ramp.style(fraction)
        if index < self.n_forced:
            look = look + _FORCED
        if self.differs(index):
            look = look + _MARKED
        if index == self.at:
            look = look + (styles.cursor if self.has_focus else styles.other_cursor)
        return look

    def fixed_line(self, row: int) -> list[Segment]:
        """One line below the text: the read-out, then the alternatives."""
        if not self.steps:
            return []
        if row < self.rows.readout:
            return self._readout(row)
        rank = row - self.rows.readout
        return list(self._candidate(rank, self.candidates[rank])) if rank < len(self.candidates) else []

    def _readout(self, row: int) -> list[Segment]:
        step = self.step
        if step is None:
            return [] if row else [Segment(f"no token {self.at + 1} here", self.styles.muted)]
        if row:
            return [Segment(self._numbers(step), self.styles.muted)]
        words = f"{self.at + 1}/{len(self.steps)} {_name(step)}"
        if self.differs(self.at) and self.first is not None and self.at < len(self.first):
            words += f" ≠ {_name(self.first[self.at])}"
        if self.rows.readout == 1:
            words += f"  {self._numbers(step)}"
        return [Segment(set_cell_size(words, min(cell_len(words), self.width)), self.styles.strong)]

    def _numbers(self, step: LaneStep) -> str:
        """The token's probability, divergence and rank."""
        kl = None if self.first is None else divergence(step)
        parts = [f"p {probability(step.probability).strip()}"]
        parts += [f"KL {number(kl, 7).strip()}"] if kl is not None else []
        parts += [f"rank {step.rank}"] if step.rank is not None else []
        return " ".join(parts)

    def _candidate(self, rank: int, candidate: Candidate) -> Iterator[Segment]:
        """A mark, the token, its probability, and a bar."""
        styles, room = self.styles, self.width - P_WIDTH - 4
        name = max(4, min(24, room // 2))
        is_drawn = self.step is not None and candidate.token.id == self.step.token.id
        is_chosen = self.has_focus and rank == self.chosen
        mark = CURSOR if is_chosen else _DRAWN if is_drawn else " "
        look = styles.strong if is_chosen or is_drawn else styles.base
        yield Segment(f"{mark} {fit(candidate.token.text, name)} {probability(candidate.probability)} ", look)
        yield Segment(bar(candidate.probability, room - name).rstrip(), styles.bar)


def divergence(step: LaneStep) -> float | None:
    """KL from the first lane's distribution, along the lane's own text where the texts have parted."""
    return step.kl_to_context if step.kl_on_own_text is None else step.kl_on_own_text


def _name(step: LaneStep) -> str:
    return display(step.token.text) or "␣"
