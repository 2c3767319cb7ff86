"""Every action, once: those of the explorer, and those on the rows of a folder.

From these tables come the key bindings, the footer, the help screen and the command palette.
"""

from dataclasses import replace

from textual.binding import BindingType

from icltui.tui.actions.action import Action
from icltui.tui.actions.patch import PATCH_ACTIONS
from icltui.tui.actions.rows import ROW_ACTIONS
from icltui.tui.actions.run import RUN_ACTIONS
from icltui.tui.actions.session import SESSION_ACTIONS
from icltui.tui.actions.view import VIEW_ACTIONS

ACTIONS: tuple[Action, ...] = (*RUN_ACTIONS, *PATCH_ACTIONS, *VIEW_ACTIONS, *SESSION_ACTIONS)
"""On the explorer's screen."""

EVERY_ACTION: tuple[Action, ...] = (*ACTIONS, *ROW_ACTIONS)
"""On any screen."""

MOVES = (
    ("tab shift+tab", "To the next or the previous pane."),
    ("j k ↓ ↑", "Down and up."),
    ("h l ← →", "Left and right, in heatmap and text."),
    ("g G", "To the first and the last unit."),
    ("^d ^u", "Half a page down and up."),
)
"""What the panes' own keys do, for the help screen."""

BINDINGS: list[BindingType] = [action.binding() for action in ACTIONS if action.keys and action.id != "quit"]
"""The keys of the explorer's screen."""

ROW_BINDINGS: list[BindingType] = [action.binding() for action in ROW_ACTIONS]
"""The keys on the rows of a folder."""

QUIT = replace(next(action.binding() for action in ACTIONS if action.id == "quit"), priority=True)
"""The app's own key: it acts in dialogs too."""
