"""The way around the explorer's screen: jumps by a letter, the help, the tour."""

from textual.content import Content
from textual.geometry import Offset
from textual.widget import Widget

from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenActions, ScreenParts
from icltui.tui.main.file_actions import FileActions
from icltui.tui.main.view_actions import ViewActions
from icltui.tui.state.engine_status import model_facts
from icltui.tui.state.jump_keys import letters, targets
from icltui.tui.state.pane_names import PANES, TABS
from icltui.tui.state.run_settings import method_words
from icltui.tui.state.tour import END, Sight, Tour, sight
from icltui.tui.widgets.jump_labels import JumpBar, JumpLabel
from icltui.tui.widgets.tour_card import TourCard
from icltui.values.errors import SessionError


class GuideActions(ScreenActions):
    """Jumps, help and tour."""

    def __init__(self, parts: ScreenParts, view: ViewActions, files: FileActions) -> None:
        super().__init__(parts)
        self._view, self._files = view, files
        self.jump_bar, self.tour_card = JumpBar(), TourCard()
        self.tour: Tour | None = None
        self._come_from: Widget | None = None

    # Jump.

    def action_jump_by_letter(self) -> None:
        """Show a letter on every pane and tab in sight, and all of them in one line."""
        if self.jump_bar.display:
            return
        names = targets(PANES)
        keys = dict(zip(names, letters(names.values()), strict=True))
        self._come_from = self._screen.focused
        self.jump_bar.open(keys, names)
        places = {pane: self._place_of(pane) for pane in names}
        self._screen.mount(*(JumpLabel(pane, keys[pane], place) for pane, place in places.items() if place))

    def _place_of(self, pane: str) -> Offset | None:
        """Where the pane's letter goes: before its title or on its tab's digit; None where the pane is not in sight."""
        is_tab = pane in TABS
        frame = self._numbers if is_tab else self._screen.query_one(f"#{pane}")
        names = Content.from_markup(str(frame.border_title)).plain if is_tab else pane.capitalize()
        column = names.find(pane.capitalize())
        x, y, width, height = frame.region
        return Offset(x + column, y) if height and 0 <= column < width - 4 else None

    async def jump(self, pane: str | None) -> None:
        """Go to the pane, or back to where the user was."""
        if not self.jump_bar.display:
            return
        was_left = self._screen.focused is not self.jump_bar
        with self._screen.app.batch_update():  # one repaint, not one for each thing that goes
            self.jump_bar.display = False
            if pane in PANES:
                self._view.action_show_pane(pane)
            elif pane:
                self._view.action_show_pane("lanes")
                self._screen.set_focus(self._screen.query_one(f"#{pane}"))
            elif not was_left:
                self._screen.set_focus(self._come_from)
            await self._screen.query(JumpLabel).remove()

    # Help.

    def action_show_help(self, topic: str = "") -> None:
        """Explain the pane in focus, every key, what each number means now, and what the model's check found.

        Of a topic of the manual, its page.
        """
        if topic:
            self.action_show_manual(topic)
            return
        from icltui.tui.dialogs.help import HelpDialog

        model, settings = self._explorer.model, self._explorer.settings
        measured = self._explorer.results.measured
        method = method_words(settings.measure(), measured.path)
        facts = [("measured", method), *(model_facts(model) if model else ())]
        self._screen.app.push_screen(
            HelpDialog(settings.dynamics, facts, self._pane, self._cursor.measure), self._leave_help
        )

    def _leave_help(self, wish: str | None) -> None:
        if wish == "tour":
            self.action_start_tour()

    def action_show_manual(self, topic: str = "") -> None:
        """Open the manual, at a topic's page."""
        from icltui.tui.dialogs.manual import (
            ManualDialog,  # with Markdown, which the first frame does not need
        )

        self._screen.app.push_screen(ManualDialog(topic))

    @property
    def _pane(self) -> str | None:
        """The pane that has the focus."""
        nodes = self._screen.focused.ancestors_with_self if self._screen.focused else ()
        return next((node.id for node in nodes if node.id in PANES), None)

    # The tour.

    def action_start_tour(self) -> None:
        """Begin the tour on the first example; what is not saved is asked about before it goes."""
        self._begin(self._start_tour)

    async def _start_tour(self) -> None:
        example = next(iter(example_sessions()), None)
        if example is None or self._explorer.document.path == example:
            await self._begin_tour()
        else:
            await self._files.unless_kept(self._open_example)

    async def _open_example(self) -> None:
        path = example_sessions()[0]
        try:
            self._explorer.open(read_session(path), path)
        except SessionError as error:
            self._screen.notify(display(str(error)), severity="error", markup=False)
        else:
            await self._begin_tour()

    async def _begin_tour(self) -> None:
        self._view.action_show_pane("stream")
        self.tour = Tour(self._sight())
        self.tour_card.show(self.tour.step)

    def _sight(self) -> Sight:
        return sight(self._explorer, self._cursor.unit, self._numbers.current or "")

    def end_tour(self) -> bool:
        """Put the card away; False if there is none."""
        is_there, self.tour = self.tour is not None, None
        self.tour_card.show(None)
        return is_there

    def follow(self) -> None:
        """Whatever moves or changes may be what the tour waits for."""
        if self.tour is None or not self.tour.look(self._sight()):
            return
        if self.tour.step is None:
            self.end_tour()
            self._screen.notify(END, timeout=12, markup=False)
        else:
            self.tour_card.show(self.tour.step)
