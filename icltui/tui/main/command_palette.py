"""The command palette: every action of the registry, found by its label or its explanation."""

from collections.abc import Callable
from functools import partial

from textual.command import CommandInput, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from icltui.tui.actions import ACTIONS
from icltui.tui.actions.action import Action
from icltui.tui.actions.rows import ROW_ACTIONS
from icltui.tui.dialogs.dialog import ClosesOnce
from icltui.tui.widgets.line_input import PrintableHighlighter

_ANYWHERE = tuple(action for action in ACTIONS if action.id == "quit")


class Palette(ClosesOnce[None], CommandPalette):
    """Textual's command palette, in whose field any text can be pasted."""

    def on_mount(self) -> None:
        """Draw the field without characters that a terminal would obey."""
        self.query_one(CommandInput).highlighter = PrintableHighlighter()


class ActionCommands(Provider):
    """Offers the actions of the screen below the palette, where that screen has them."""

    @property
    def _offered(self) -> list[Action]:
        tables = {"action_run_prompt": ACTIONS, "action_sort_rows": (*ROW_ACTIONS, *_ANYWHERE)}
        offered = (table for name, table in tables.items() if hasattr(self.screen, name))
        return [action for action in next(offered, ()) if action.group]

    def _label(self, action: Action) -> str:
        keys = action.keys_text()
        return f"{action.label}  {keys}" if keys else action.label

    def _command(self, action: Action) -> Callable[[], object]:
        return partial(self.screen.run_action, action.action)

    async def discover(self) -> Hits:
        """Every action, before anything is typed."""
        for action in self._offered:
            label = self._label(action)
            yield DiscoveryHit(Content(label), self._command(action), text=label, help=action.help)

    async def search(self, query: str) -> Hits:
        """Actions that match what is typed."""
        matcher = self.matcher(query)
        for action in self._offered:
            score = max(matcher.match(action.label), matcher.match(action.help) / 2)
            if score > 0:
                label = matcher.highlight(self._label(action))
                yield Hit(score, label, self._command(action), help=action.help)
