"""Finding things on the explorer's screen: flips, peaks, and words in units, next tokens, the log or the exam."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from icltui.report.measures import CHANGED, PEAK
from icltui.tui.draw.safe_text import fit
from icltui.tui.draw.token_colorings import COLORINGS, measure_coloring
from icltui.tui.main.actions_base import ScreenActions, ScreenParts
from icltui.tui.main.view_actions import ViewActions
from icltui.tui.state.leading_tokens import flips
from icltui.tui.state.peaks import peak_units
from icltui.tui.state.search import Search, find_in_lines, find_in_units
from icltui.tui.widgets.find_bar import FindBar

if TYPE_CHECKING:
    from icltui.tui.widgets.exam_view import AnswerTable
    from icltui.tui.widgets.log_view import LogView

_WIDEST_WORD = 16


class FindActions(ScreenActions):
    """The cursor follows the word as it is typed."""

    def __init__(self, parts: ScreenParts, view: ViewActions) -> None:
        super().__init__(parts)
        self._view = view
        self.find_bar = FindBar()
        self.search = Search()
        self._origin: tuple[Widget | None, int, Search] = (None, 0, Search())

    @property
    def _lines(self) -> "LogView | AnswerTable | None":
        """What is shown in lines of its own; None: units."""
        if self._numbers.current == "log":
            return self._numbers.log_view
        return self._numbers.exam.answers if self._numbers.current == "exam" else None

    @property
    def _here(self) -> int:
        return self._lines.row if self._lines else self._cursor.unit

    def _places(self, word: str) -> tuple[int, ...]:
        if self._lines:
            return find_in_lines(word, self._lines.rows)
        return find_in_units(word, self._explorer.results.measured)

    # What the user does.

    def action_type_find(self) -> None:
        """Open the bar to type a word."""
        self.action_find_text()

    def action_find_text(self, word: str = "") -> None:
        """Go to a word, or ask for one; where the screen has pages, on the page that shows it."""
        if word:
            self._view.turn_to("numbers")
            self._go(Search(word, self._places(word)).from_place(self._here), self._here)
            if not self.search.places:
                self._tell(f"{fit(word, _WIDEST_WORD).rstrip()}: not found {self._where}")
            return
        self._origin = self._screen.focused, self._here, self.search
        self._view.turn_to("numbers")
        self.find_bar.open()

    def action_find_next(self, step: int) -> None:
        """The next match, or the one before."""
        if not self.search.word:
            self._tell("nothing to find yet: / asks for a word")
            return
        word = self.search.word
        self._go(Search(word, self._places(word)).step(self._here, step))
        if not self.search.places:
            self._tell(f"{fit(word, _WIDEST_WORD).rstrip()}: not found {self._where}")

    def action_move_flip(self, step: int) -> None:
        """The next flip, or the one before."""
        found = {flip.unit: flip for flip in flips(self._explorer.results.measured)}
        unit = self._step_to(tuple(found), step, CHANGED)
        if unit is None:
            self._tell("no flips: the most likely next token is the same at every unit measured")
        else:
            sides = found[unit].before, found[unit].after
            before, after = (fit(side.token.text, _WIDEST_WORD).rstrip() for side in sides)
            self._numbers.found += f" {before} → {after}"

    def action_move_peak(self, step: int) -> None:
        """The next peak of the number that is shown, or the one before."""
        measured, layer = self._explorer.results.measured, self._cursor.shown_layer
        in_text = self._numbers.current == "text"
        shown = COLORINGS[self._numbers.strip.coloring] if in_text else measure_coloring(self._cursor.measure)
        values = [shown.value(measured, unit, layer) for unit in range(measured.n_units)]
        places = peak_units(measured, shown.name, layer, values)
        if self._step_to(places, step, f"{PEAK}{shown.title}") is None:
            at, key = f" at layer {layer}" if shown.is_by_layer else "", "s" if in_text else "m"
            self._tell(f"no peaks: no {shown.title}{at} rises above its scatter; {key} shows other numbers")

    def _step_to(self, units: Sequence[int], step: int, mark: str) -> int | None:
        """Put the cursor on the next of ``units``, round and round, and say which of them it is."""
        found = Search(mark, tuple(units)).step(self._cursor.unit, step)
        if found.place is not None:
            self._cursor.unit = found.place
            self._numbers.found = f"{mark} {found.words()}"
        return found.place

    def seek(self, word: str) -> None:
        """Go to the first match at or after where the user came from."""
        start = self._origin[1]
        found = Search(word, self._places(word)).from_place(start)
        self._go(found, start)
        nothing = f"not found {self._where}" if found.word and not found.places else ""
        self.find_bar.show_count(nothing or found.words())

    def end(self, is_kept: bool) -> None:
        """Stay there, in the pane that shows it, or go back to where the user came from."""
        focused, start, before = self._origin
        self.find_bar.display = False
        if is_kept and self.search.place is not None:
            self._numbers.show_tab(self._numbers.current or "stream")
            return
        is_cleared = is_kept and not self.search.word
        self._go(Search() if is_cleared else before, start)
        self._screen.set_focus(focused)

    # What follows.

    @property
    def _where(self) -> str:
        places = {"log": "in the log", "exam": "in queries and answers"}
        return places.get(self._numbers.current or "", "in units and next tokens")

    def _go(self, found: Search, otherwise: int | None = None) -> None:
        """Select the match; without one, go to ``otherwise``."""
        place = otherwise if found.place is None else found.place
        self.search = found
        if self._lines:
            self._lines.mark(found.place, place)
        elif place is not None:
            self._cursor.unit = place
        self._show_search()

    def _show_search(self) -> None:
        """Word and count in the numbers' border."""
        found = self.search
        word = fit(found.word, _WIDEST_WORD).rstrip()
        self._numbers.found = f"/{word} {found.words()}" if found.word else ""

    def follow(self, unit: int) -> None:
        """The cursor was moved: it is at another match, or at none."""
        if not self._lines:
            self.search = self.search.at_place(unit)
            self._show_search()

    def forget(self) -> None:
        """Another session is another text."""
        self.search = Search()
        self._show_search()
