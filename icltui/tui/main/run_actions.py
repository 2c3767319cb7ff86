"""Running on the explorer's screen: run, stop, verify, vary; and the choices that a run follows."""

from typing import cast

from icltui.api.option_table import option_of
from icltui.tui.main.actions_base import ScreenActions, ScreenParts
from icltui.tui.main.engine_actions import EngineActions
from icltui.tui.main.guide_actions import GuideActions
from icltui.tui.main.view_actions import ViewActions
from icltui.tui.state.pane_names import ROWS_SCREEN
from icltui.tui.state.run_settings import Choice
from icltui.tui.widgets.modal_editor import ModalEditor
from icltui.values import Lane
from icltui.values.errors import BadInput


class RunActions(ScreenActions):
    """Jobs of the engine, and their choices."""

    def __init__(
        self, parts: ScreenParts, view: ViewActions, engine: EngineActions, guide: GuideActions
    ) -> None:
        super().__init__(parts)
        self._view, self._engine, self._guide = view, engine, guide

    def action_run_prompt(self) -> None:
        """Measure and generate."""
        self._editors.take()
        self._engine.engage(self._explorer.run)

    def action_stop_job(self) -> None:
        """End the tour, or stop a run; else leave the editor, the zoom or the row; else stop the model's loading."""
        is_in_editor = isinstance(self._screen.focused, ModalEditor)
        if not is_in_editor and self._guide.end_tour():
            return
        if self._explorer.jobs.is_running:
            self._engine.engage(self._explorer.stop)
        elif is_in_editor:
            self._view.action_show_pane(cast(str, self._numbers.current))
        elif self._screen.maximized is not None:
            self._screen.minimize()
        elif self._screen.app.is_screen_installed(ROWS_SCREEN):
            self._screen.app.push_screen(ROWS_SCREEN)
        else:
            self._engine.engage(self._explorer.stop)

    def action_switch_delta(self) -> None:
        """Turn ΔW on or off."""
        self._explorer.switch_delta()

    def action_next_choice(self, choice: Choice) -> None:
        """Take the next value of dynamics, reference, positions, chat template, patch mode, parts or carrier."""
        self._editors.take()
        self._explorer.next_choice(choice)

    def action_change_alpha(self, step: float) -> None:
        """Make the patch stronger or weaker."""
        self._explorer.change_alpha(step)

    def action_branch_lane(self, lane: Lane, tokens: tuple[int, ...]) -> None:
        """Let a lane begin with these tokens and go on by itself."""
        self._explorer.branch(lane, tokens)

    def action_continue_lanes(self) -> None:
        """Generate as many tokens again."""
        self._explorer.go_on()

    def action_open_unit(self) -> None:
        """Measure the selected unit by its tokens, or whole again."""
        self._editors.take()
        self._explorer.open_unit(self._numbers.unit)

    def action_set_option(self, field: str, text: str) -> None:
        """Set one option by a command of the palette; a patch that is on acts at once."""
        from icltui.tui.state.settings_form import text_of, with_text  # which the first frame does not need

        self._editors.take()
        explorer, option = self._explorer, option_of(field)
        try:
            if field == "layers":
                explorer.choose_layers(set(explorer.layers_of(text)))
            else:
                explorer.change_settings(with_text(explorer.settings, option, text))
        except BadInput as error:
            explorer.complain(str(error))
        else:
            explorer.say(f"{option.title}: {text_of(option, explorer.settings)}")

    def action_set_choices(self) -> None:
        """Type strength, fit, controls, tests, sampling and units."""
        self._begin(self._set_choices)

    async def _set_choices(self) -> None:
        self._editors.take()
        from icltui.tui.dialogs.settings import SettingsDialog

        chosen = await self._ask(SettingsDialog(self._explorer.settings))
        if chosen is not None:
            self._explorer.change_settings(chosen)

    def action_edit_queries(self) -> None:
        """Write the queries that a patch is fitted and tested on."""
        self._begin(self._edit_queries)

    async def _edit_queries(self) -> None:
        self._editors.take()
        from icltui.tui.dialogs.queries import QueriesDialog

        lists = await self._ask(QueriesDialog(self._explorer.query_lists))
        if lists is not None:
            self._explorer.change_queries(lists)

    def action_compile_context(self, is_forced: bool = False) -> None:
        """Make one patch of the context, and show what is tried for it."""
        self._editors.take()
        self._numbers.plots.view = "choice"
        self._view.action_show_pane("plots")
        self._explorer.compile(is_forced=is_forced)

    def action_examine_context(self) -> None:
        """Examine every way from the context to weights, and show what comes of it."""
        self._editors.take()
        self._view.action_show_pane("exam")
        self._explorer.examine()

    def action_measure_curves(self, own_texts: int = 0) -> None:
        """Measure the loss at each position, and show where it will be drawn."""
        self._editors.take()
        self._view.action_show_pane("curves")
        self._explorer.measure_curves(own_texts)

    def action_measure_heads(self) -> None:
        """Score the heads, and show where they will be drawn."""
        self._editors.take()
        self._view.action_show_pane("heads")
        self._explorer.measure_heads()

    def action_measure_effects(self) -> None:
        """Let the patch of each layer act alone, and show where that will be drawn."""
        self._editors.take()
        self._view.action_show_pane("heatmap")
        self._numbers.show_effects()
        self._explorer.measure_effects()

    def action_verify_patch(self) -> None:
        """Verify, and show what comes of it."""
        self._view.action_show_pane("verify")
        self._explorer.verify()

    def action_vary_patch(self) -> None:
        """Compute the patch's curves, and show where they will be drawn."""
        self._numbers.plots.view = "alpha"
        self._view.action_show_pane("plots")
        self._explorer.vary_patch()
