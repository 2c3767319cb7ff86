"""The command palette: every action of the registry, found by its label or its explanation."""

from collections.abc import Callable
from functools import partial

from textual.command import CommandInput, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from icltui.tui.actions import ACTIONS
from icltui.tui.actions.action import Action
from icltui.tui.dialogs.dialog import ClosesOnce
from icltui.tui.widgets.line_input import PrintableHighlighter


class Palette(ClosesOnce[None], CommandPalette):
    """Textual's command palette, in whose field any text can be pasted."""

    def on_mount(self) -> None:
        """Draw the field without characters that a terminal would obey."""
        self.query_one(CommandInput).highlighter = PrintableHighlighter()


class ActionCommands(Provider):
    """Offers the actions of the screen below the palette, where that screen has them."""

    @property
    def _offered(self) -> list[Action]:
        is_explorer = hasattr(self.screen, "action_run_prompt")
        return [action for action in ACTIONS if action.group and is_explorer]

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
