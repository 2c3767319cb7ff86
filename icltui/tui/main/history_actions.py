"""Earlier runs on the explorer's screen: step, choose, annotate, compare, fan out."""

from functools import partial

from icltui.storage.sessions import session_title
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.state.compared_session import ComparedSession


class HistoryActions(ScreenActions):
    """The runs of the session; their dialogs are imported where they are opened first."""

    def action_step_run(self, step: int) -> None:
        """Go to the run above in the tree, or to the one below."""
        self._editors.take()
        self._explorer.step_run(step)

    def action_show_runs(self) -> None:
        """Show the tree of the runs."""
        self._begin(self._choose)

    def action_note_run(self) -> None:
        """Write a line about the present run."""
        if (at := self._explorer.history.at) is None:
            self._explorer.say("no run yet to write about: ^r makes the first")
        else:
            self._begin(partial(self._note, at))

    def action_compare_runs(self) -> None:
        """Show what differs from the run compared with; choose one first where there is none."""
        self._begin(self._contrast if self._explorer.other else partial(self._choose, is_to_compare=True))

    def action_fan_out(self) -> None:
        """Run a grid of one choice from the present run; or see how far it is."""
        self._editors.take()
        self._begin(self._fan)

    async def _choose(self, is_to_compare: bool = False, at: int | None = None) -> None:
        from icltui.tui.dialogs.runs import RunChoice, RunsDialog

        self._editors.take()
        explorer = self._explorer
        choice = await self._ask(RunsDialog(explorer, "compare" if is_to_compare else "go", at))
        match choice:
            case RunChoice("go", number):
                explorer.go_to_run(number)
            case RunChoice("compare", number) if run := explorer.history.run(number):
                explorer.compare_with(ComparedSession.of(run.session, f"run {number}"))
                await self._contrast()
            case RunChoice("beside", number, other):
                await self._beside(number, other)
            case RunChoice("fan", number):
                explorer.go_to_run(number)
                await self._fan()
            case RunChoice("file"):
                await self._compare_file()
            case RunChoice("alone"):
                explorer.compare_with(None)

    async def _fan(self) -> None:
        from icltui.tui.dialogs.fan import FanDialog

        if (number := await self._ask(FanDialog(self._explorer))) is not None:
            self._explorer.go_to_run(number)

    async def _beside(self, number: int, other: int) -> None:
        from icltui.tui.dialogs.comparison import CompareDialog

        runs = [self._explorer.history.run(one) for one in (number, other)]
        if runs[0] and runs[1]:
            theirs = ComparedSession.of(runs[1].session, f"run {other}")
            answer = await self._ask(CompareDialog(runs[0].session, f"run {number}", theirs, is_kept=False))
            await self._choose(at=number, is_to_compare=answer == "compare")

    async def _compare_file(self) -> None:
        from icltui.tui.dialogs.open_session import OpenSessionDialog

        if opened := await self._ask(OpenSessionDialog("Compare with", "compares")):
            session, path = opened
            self._explorer.compare_with(ComparedSession.of(session, session_title(path)))
            await self._contrast()

    async def _contrast(self) -> None:
        from icltui.report.session_comparison import differing_settings
        from icltui.tui.dialogs.comparison import CompareDialog

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
                await self._choose(is_to_compare=True)

    async def _note(self, number: int) -> None:
        from icltui.tui.dialogs.runs import note_dialog

        if run := self._explorer.history.run(number):
            note = await self._ask(note_dialog(run))
            if note is not None:
                self._explorer.annotate(number, note)
