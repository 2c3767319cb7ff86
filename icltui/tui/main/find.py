"""The part of the explorer's screen that finds words: in the units and their next tokens, or in the log."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from icltui.tui.draw.text import fit
from icltui.tui.main.layout import LayoutScreen
from icltui.tui.state.change import Change
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.search import Search, find_in_lines, find_in_units
from icltui.tui.widgets.find_bar import FindBar
from icltui.tui.widgets.messages import ExplorerChanged

_WIDEST_WORD = 16


class FindScreen(LayoutScreen):
    """What is selected follows the word as it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = []
    ALLOW_IN_MAXIMIZED_VIEW = f"{LayoutScreen.ALLOW_IN_MAXIMIZED_VIEW}, FindBar"

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self.find_line = FindBar()
        self.search = Search()
        self._origin: tuple[Widget | None, int, Search] = (None, 0, Search())

    def compose(self) -> ComposeResult:
        """The line lies over the footer."""
        yield from super().compose()
        yield self.find_line

    @property
    def _is_in_log(self) -> bool:
        return self.numbers.current == "log"

    @property
    def _here(self) -> int:
        return self.numbers.log_view.row if self._is_in_log else self.unit

    def _places(self, word: str) -> tuple[int, ...]:
        if self._is_in_log:
            return find_in_lines(word, self.numbers.log_view.rows)
        return find_in_units(word, self.explorer.results.measured)

    # What the user does.

    def action_type_find(self) -> None:
        """By the key."""
        self.action_find_text()

    def action_find_text(self) -> None:
        """Ask for a word; where pages are turned, on the page that shows where it stands."""
        self._origin = self.focused, self._here, self.search
        self._turn_to("numbers")
        self.find_line.open()

    def action_find_next(self, step: int) -> None:
        """The next match, or the one before."""
        if not self.search.word:
            self.notify("nothing to find yet: / asks for a word", markup=False)
            return
        word = self.search.word
        self._go(Search(word, self._places(word)).step(self._here, step))
        if not self.search.places:
            self.notify(f"{fit(word, _WIDEST_WORD).rstrip()}: not found {self._where}", markup=False)

    @on(FindBar.Changed)
    def seek(self, event: FindBar.Changed) -> None:
        """Go to the first match at or behind where the user came from."""
        start = self._origin[1]
        found = Search(event.word, self._places(event.word)).from_place(start)
        self._go(found, start)
        nothing = f"not found {self._where}" if found.word and not found.places else ""
        self.find_line.show_count(nothing or found.words())

    @on(FindBar.Closed)
    def end_find(self, event: FindBar.Closed) -> None:
        """Stay there, in the pane that shows it, or go back to where the user came from."""
        focused, start, before = self._origin
        self.find_line.display = False
        if event.is_kept and self.search.place is not None:
            self.numbers.show_tab(self.numbers.current or "stream")
            return
        is_cleared = event.is_kept and not self.search.word
        self._go(Search() if is_cleared else before, start)
        self.set_focus(focused)

    # What follows.

    @property
    def _where(self) -> str:
        return "in the log" if self._is_in_log else "in units and next tokens"

    def _go(self, found: Search, otherwise: int | None = None) -> None:
        """Select the match, or the place to be at without one."""
        place = otherwise if found.place is None else found.place
        self.search = found
        if self._is_in_log:
            self.numbers.log_view.mark(found.place, place)
        elif place is not None:
            self.unit = place
        self._show_finding()

    def _show_finding(self) -> None:
        """Word and count in the numbers' border."""
        found = self.search
        word = fit(found.word, _WIDEST_WORD).rstrip()
        self.numbers.found = f"/{word} {found.words()}" if found.word else ""

    def watch_unit(self, unit: int) -> None:
        """A cursor that was moved otherwise is no longer at a match, or at another one."""
        super().watch_unit(unit)
        if self.search.places and not self._is_in_log:
            self.search = self.search.at_place(unit)
            self._show_finding()

    @on(ExplorerChanged)
    def forget_places(self, event: ExplorerChanged) -> None:
        """Another session is another text."""
        if event.change is Change.DOCUMENT:
            self.search = Search()
            self._show_finding()
