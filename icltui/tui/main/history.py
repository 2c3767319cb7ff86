"""The part of the explorer's screen that deals with the runs before: step, choose, annotate, compare."""

from textual import work

from icltui.report.session_comparison import differing_settings
from icltui.storage.sessions import session_title
from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.choose_run import ChooseRunDialog, RunChoice, Verb
from icltui.tui.dialogs.compare import CompareDialog
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.main.engine import EngineScreen
from icltui.tui.state.compared_session import ComparedSession


class HistoryScreen(EngineScreen):
    """A screen over one explorer whose earlier runs can be gone back to."""

    def action_step_run(self, step: int) -> None:
        """The run before, or the next one."""
        self.take_edits()
        self.explorer.step_run(step)

    @work(exclusive=True, group="document")
    async def action_show_runs(self) -> None:
        """Choose one of the runs."""
        await self._choose("go")

    @work(exclusive=True, group="document")
    async def action_note_run(self) -> None:
        """Write a line about the run before the user."""
        if (at := self.explorer.history.at) is None:
            self.explorer.say("no run yet to write about: ^r makes the first")
        else:
            await self._note(at)

    @work(exclusive=True, group="document")
    async def action_compare_runs(self) -> None:
        """What differs from the run compared with; choose one first where there is none."""
        await (self._contrast() if self.explorer.other else self._choose("compare"))

    async def _choose(self, enter: Verb) -> None:
        self.take_edits()
        explorer = self.explorer
        label = explorer.other.label if explorer.other else ""
        choice = await self.app.push_screen_wait(ChooseRunDialog(explorer.history, enter, label))
        match choice:
            case RunChoice("go", number):
                explorer.go_to_run(number)
            case RunChoice("note", number):
                await self._note(number)
            case RunChoice("compare", number) if run := explorer.history.run(number):
                explorer.compare_with(ComparedSession.of(run.session, f"run {number}"))
                await self._contrast()
            case RunChoice("file"):
                await self._compare_file()
            case RunChoice("alone"):
                explorer.compare_with(None)

    async def _compare_file(self) -> None:
        if opened := await self.app.push_screen_wait(OpenSessionDialog("Compare with", "compares")):
            session, path = opened
            self.explorer.compare_with(ComparedSession.of(session, session_title(path)))
            await self._contrast()

    async def _contrast(self) -> None:
        explorer = self.explorer
        if explorer.other is None:
            return
        ours, present = explorer.session(explorer.document.title), explorer.history.present
        name = f"run {present.number}" if present else "now"
        if present and differing_settings(ours, present.session):
            name += ", edited"
        match await self.app.push_screen_wait(CompareDialog(ours, name, explorer.other)):
            case "alone":
                explorer.compare_with(None)
            case "compare":
                await self._choose("compare")

    async def _note(self, number: int) -> None:
        run = self.explorer.history.run(number)
        if run is None:
            return
        question = AskTextDialog(f"Note on run {number}", run.note, "what you saw in it")
        note = await self.app.push_screen_wait(question)
        if note is not None:
            self.explorer.annotate(number, note)
