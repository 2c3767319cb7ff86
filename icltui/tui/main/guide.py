"""The part of the explorer's screen that shows the way: jumps by a letter, the help, the tour."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Offset
from textual.widget import Widget

from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from icltui.tui.dialogs.help import TOUR, HelpDialog
from icltui.tui.dialogs.manual import ManualDialog
from icltui.tui.draw.text import display
from icltui.tui.main.find import FindScreen
from icltui.tui.state.engine_log import model_facts
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.jump_keys import letters, targets
from icltui.tui.state.panes import PANES, TABS
from icltui.tui.state.tour import END, Tour, sight
from icltui.tui.widgets.jump_labels import JumpBar, JumpLabel
from icltui.tui.widgets.messages import ExplorerChanged
from icltui.tui.widgets.tour_card import TourCard
from icltui.values.errors import SessionError


class GuideScreen(FindScreen):
    """The panes, and a guide through them."""

    BINDINGS: ClassVar[list[BindingType]] = []
    ALLOW_IN_MAXIMIZED_VIEW = f"{FindScreen.ALLOW_IN_MAXIMIZED_VIEW}, JumpBar, JumpLabel, TourCard"

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(explorer)
        self.jump_line, self.tour_card = JumpBar(), TourCard()
        self.tour: Tour | None = None
        self._come_from: Widget | None = None

    def compose(self) -> ComposeResult:
        """The card stands above the footer, the line lies over it."""
        yield from super().compose()
        yield self.tour_card
        yield self.jump_line

    # Jump.

    def action_jump_by_letter(self) -> None:
        """A letter on every pane and tab in sight, and all of them in one line."""
        if self.jump_line.display:
            return
        names = targets(PANES)
        keys = dict(zip(names, letters(names.values()), strict=True))
        self._come_from = self.focused
        self.jump_line.open(keys, names)
        places = {pane: self._place_of(pane) for pane in names}
        self.mount(*(JumpLabel(pane, keys[pane], place) for pane, place in places.items() if place))

    def _place_of(self, pane: str) -> Offset | None:
        """In front of the pane's title, or on its tab's digit; None where it is not in sight."""
        is_tab = pane in TABS
        frame = self.numbers if is_tab else self.query_one(f"#{pane}")
        names = Content.from_markup(str(frame.border_title)).plain if is_tab else pane.capitalize()
        column = names.find(pane.capitalize())
        x, y, width, height = frame.region
        return Offset(x + column, y) if height and 0 <= column < width - 4 else None

    @on(JumpBar.Chosen)
    async def jump(self, event: JumpBar.Chosen) -> None:
        """Go to the pane, or back to where the user was."""
        if not self.jump_line.display:
            return
        was_left = self.focused is not self.jump_line
        with self.app.batch_update():  # one repaint, not one for each thing that goes
            self.jump_line.display = False
            if event.pane in PANES:
                self.action_show_pane(event.pane)
            elif event.pane:
                self.action_show_pane("lanes")
                self.set_focus(self.query_one(f"#{event.pane}"))
            elif not was_left:
                self.set_focus(self._come_from)
            await self.query(JumpLabel).remove()

    # Help.

    def action_show_help(self) -> None:
        """The pane in focus, every key, what each number means now, and what the model's check found."""
        model, settings = self.explorer.model, self.explorer.settings
        facts = model_facts(model) if model else ()
        self.app.push_screen(HelpDialog(settings.dynamics, facts, self._pane, self.measure), self._leave_help)

    def _leave_help(self, wish: str | None) -> None:
        if wish == TOUR:
            self.action_start_tour()

    def action_show_manual(self) -> None:
        """Open the manual."""
        self.app.push_screen(ManualDialog())

    @property
    def _pane(self) -> str | None:
        """The pane that has the focus."""
        nodes = self.focused.ancestors_with_self if self.focused else ()
        return next((node.id for node in nodes if node.id in PANES), None)

    # The tour.

    @work(exclusive=True, group="document")
    async def action_start_tour(self) -> None:
        """From its first step, on the first example; what is not saved is asked about before it goes."""
        example = next(iter(example_sessions()), None)
        if example is None or self.explorer.document.path == example:
            await self._begin_tour()
        else:
            await self.unless_kept(self._open_example)

    async def _open_example(self) -> None:
        path = example_sessions()[0]
        try:
            self.explorer.open(read_session(path), path)
        except SessionError as error:
            self.notify(display(str(error)), severity="error", markup=False)
        else:
            await self._begin_tour()

    async def _begin_tour(self) -> None:
        self.action_show_pane("stream")
        self.tour = Tour(sight(self.explorer, self.unit))
        self.tour_card.show(self.tour.step)

    def end_tour(self) -> bool:
        """Put the card away; False if there is none."""
        is_there, self.tour = self.tour is not None, None
        self.tour_card.show(None)
        return is_there

    def watch_unit(self, unit: int) -> None:
        """Moving about may be what the tour waits for."""
        super().watch_unit(unit)
        self._follow_tour()

    @on(ExplorerChanged)
    def note_change(self) -> None:
        """So may anything that changes."""
        self._follow_tour()

    def _follow_tour(self) -> None:
        if self.tour is None or not self.tour.look(sight(self.explorer, self.unit)):
            return
        if self.tour.step is None:
            self.end_tour()
            self.notify(END, timeout=12, markup=False)
        else:
            self.tour_card.show(self.tour.step)
