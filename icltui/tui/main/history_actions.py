"""Earlier runs on the explorer's screen: step, choose, annotate, compare."""

from functools import partial

from icltui.report.session_comparison import differing_settings
from icltui.storage.sessions import session_title
from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.choose_run import ChooseRunDialog, RunChoice, Verb
from icltui.tui.dialogs.comparison import CompareDialog
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.state.compared_session import ComparedSession


class HistoryActions(ScreenActions):
    """The runs of the session."""

    def action_step_run(self, step: int) -> None:
        """Go to the run before, or to the next one."""
        self._editors.take()
        self._explorer.step_run(step)

    def action_show_runs(self) -> None:
        """Choose one of the runs."""
        self._begin(partial(self._choose, "go"))

    def action_note_run(self) -> None:
        """Write a line about the present run."""
        if (at := self._explorer.history.at) is None:
            self._explorer.say("no run yet to write about: ^r makes the first")
        else:
            self._begin(partial(self._note, at))

    def action_compare_runs(self) -> None:
        """Show what differs from the run compared with; choose one first where there is none."""
        self._begin(self._contrast if self._explorer.other else partial(self._choose, "compare"))

    async def _choose(self, enter: Verb) -> None:
        self._editors.take()
        explorer = self._explorer
        label = explorer.other.label if explorer.other else ""
        choice = await self._ask(ChooseRunDialog(explorer.history, enter, label))
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
        from icltui.tui.dialogs.open_session import OpenSessionDialog  # which the first frame does not need

        if opened := await self._ask(OpenSessionDialog("Compare with", "compares")):
            session, path = opened
            self._explorer.compare_with(ComparedSession.of(session, session_title(path)))
            await self._contrast()

    async def _contrast(self) -> None:
        explorer = self._explorer
        if explorer.other is None:
            return
        ours, present = explorer.session(explorer.document.title), explorer.history.present
        name = f"run {present.number}" if present else "now"
        if present and differing_settings(ours, present.session):
            name += ", edited"
        match await self._ask(CompareDialog(ours, name, explorer.other)):
            case "alone":
                explorer.compare_with(None)
            case "compare":
                await self._choose("compare")

    async def _note(self, number: int) -> None:
        run = self._explorer.history.run(number)
        if run is None:
            return
        question = AskTextDialog(f"Note on run {number}", run.note, "what you saw in it")
        note = await self._ask(question)
        if note is not None:
            self._explorer.annotate(number, note)
