"""The x axis below a plot: a rule with ticks, the positions' numbers or names, and the units' own texts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len

from icltui.tui.draw.axis_ticks import linear_ticks, log_ticks, tick_text, unit_ticks
from icltui.tui.draw.plot_area import PlotArea
from icltui.tui.draw.plot_figure import Figure
from icltui.tui.draw.safe_text import fit

_LEAST, _MOST = 5, 16
"""Cells of a unit's text: with fewer for each, only those at the ticks have one."""
Placed = tuple[int, str, bool]
"""Where a text begins, the text, and whether it is the cursor's."""


@dataclass(frozen=True, eq=False)
class XAxis:
    """The axis of one plot."""

    figure: Figure
    area: PlotArea

    @cached_property
    def ticks(self) -> range:
        """Positions that are named."""
        longest = max((cell_len(self._name(at)) for at in self._some), default=1)
        least = _LEAST if self.figure.x_texts and not self._has_room else 0
        return unit_ticks(self.area.n, max(1, self.area.width // (max(min(longest, _MOST), least) + 2)))

    @property
    def _has_room(self) -> bool:
        """Whether each unit has room for its own text."""
        return self.area.width // self.area.n >= _LEAST

    @property
    def _some(self) -> Sequence[int]:
        """Enough positions to know how long names are."""
        n = self.area.n
        return range(0, n, max(1, n // 200)) if self.figure.x_names else (n - 1,)

    def _name(self, at: int) -> str:
        names = self.figure.x_names
        return names[at] if at < len(names) else ("" if names else str(at))

    @cached_property
    def _numbers(self) -> list[tuple[int, str]]:
        """The columns and texts of round numbers along the axis."""
        assert self.figure.x_scale is not None
        scale, most = self.figure.x_scale, max(2, self.area.width // 10)
        ticks = (log_ticks if scale.log else linear_ticks)(scale.low, scale.high, most)
        found = ((scale.fraction(tick), tick_text(tick)) for tick in ticks)
        return [(round(f * (self.area.width - 1)), text) for f, text in found if f is not None]

    def rule(self) -> str:
        """The line below the plot."""
        cells = ["─"] * self.area.width
        of_units = (self.area.column(at) for at in self.ticks)
        for column in of_units if self.figure.x_scale is None else (column for column, _ in self._numbers):
            cells[column] = "┬"
        return "".join(cells)

    def names(self, cursor: int | None) -> list[Placed]:
        """The numbers or names, that of the cursor's position before all others."""
        if self.figure.x_scale is not None:
            return self._apart([(*number, False) for number in self._numbers])
        return self._placed(
            [(at, fit(self._name(at), _MOST).rstrip()) for at in self.ticks], cursor, self._name
        )

    def texts(self, cursor: int | None) -> list[Placed]:
        """The units' own texts, as long as there is room for each."""
        area, texts = self.area, self.figure.x_texts
        room = area.width // area.n - 1
        shown: Iterable[int] = range(area.n)
        if room < _LEAST - 1:
            room, shown = (
                area.width * (self.ticks.step if len(self.ticks) > 1 else 1) // area.n - 1,
                self.ticks,
            )
        cut = max(1, min(room, _MOST))

        def text(at: int) -> str:
            return fit(texts[at], cut).rstrip() if at < len(texts) else ""

        def whole(at: int) -> str:
            return fit(texts[at], _MOST).rstrip() if at < len(texts) else ""

        return self._placed([(at, text(at)) for at in shown], cursor, whole)

    def _placed(
        self, items: list[tuple[int, str]], cursor: int | None, whole: Callable[[int], str]
    ) -> list[Placed]:
        """The texts below their positions, the cursor's whole."""
        if cursor is not None:
            items = [(cursor, whole(cursor)), *(item for item in items if item[0] != cursor)]
        return self._apart([(self.area.column(at), text, at == cursor) for at, text in items])

    def _apart(self, items: Iterable[tuple[int, str, bool]]) -> list[Placed]:
        """The texts that touch no earlier one, each centred on its column."""
        placed: list[Placed] = []
        for column, text, is_cursor in items:
            size = cell_len(text)
            start = max(0, min(column - (size - 1) // 2, self.area.width - size))
            ends = ((first, first + cell_len(other)) for first, other, _ in placed)
            if 0 < size <= self.area.width and all(
                start > end or start + size < first for first, end in ends
            ):
                placed.append((start, text, is_cursor))
        return sorted(placed)
