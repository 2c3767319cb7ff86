"""Every action of the explorer, once: its id, keys, label and explanation.

From this table come the key bindings, the footer, the help screen and the command palette.
"""

from dataclasses import dataclass, replace

from textual.binding import Binding, BindingType


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something the user can do now."""

    id: str
    keys: str
    """As Textual names them, comma-separated; empty for the palette alone. Single letters act outside editors only."""
    action: str
    """The name of the method, without ``action_``, and its arguments."""
    label: str
    """Two words at most: the footer and the palette."""
    help: str
    """One sentence: the tooltip, the help screen and the palette."""
    group: str
    is_in_footer: bool = False
    shown_keys: str = ""
    """The keys as a person reads them; by default made from ``keys``."""

    def binding(self) -> Binding:
        """As Textual wants it."""
        return Binding(
            self.keys, self.action, self.label, show=self.is_in_footer, id=self.id, tooltip=self.help
        )

    def keys_text(self) -> str:
        """The keys for a person: ``^r F5``."""
        return self.shown_keys or " ".join(_key_text(key) for key in self.keys.split(",") if key)


_NAMES = {"question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]", "escape": "esc"}


def _key_text(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    return _NAMES.get(key, key.upper() if key[0] == "f" and key[1:].isdecimal() else key)


PANES = ("context", "query", "layers", "stream", "plots", "heatmap", "verify", "log", "lanes")
"""In the order of their digits, 1 to 9."""
TABS = PANES[3:8]
"""Those that share one place."""

_RUN, _PANES, _PATCH, _FILE = "Run", "Look around", "Patch", "Session"

ACTIONS: tuple[Action, ...] = (
    Action(
        id="run",
        keys="ctrl+r,f5",
        action="run_prompt",
        label="Run",
        help="Measure the prompt and generate the lanes; starts the engine anew if it is gone.",
        group=_RUN,
        is_in_footer=True,
    ),
    Action(
        id="delta",
        keys="ctrl+t",
        action="switch_delta",
        label="ΔW",
        help="Turn ΔW on or off and generate again: does the query alone now say what the context made it say?",
        group=_PATCH,
        is_in_footer=True,
        shown_keys="^t d",
    ),
    Action(
        id="delta_letter",
        keys="d",
        action="switch_delta",
        label="ΔW",
        help="Turn ΔW on or off.",
        group="",
    ),
    Action(
        id="verify",
        keys="v",
        action="verify_patch",
        label="Verify",
        help="Prove the patch on this prompt: block outputs, logits, controls and the noise floor.",
        group=_RUN,
        is_in_footer=True,
    ),
    Action(
        id="stop",
        keys="escape",
        action="stop_job",
        label="Stop",
        help="Stop the running job; again: end the engine. Otherwise leave the editor, or the zoom.",
        group=_RUN,
    ),
    Action(
        id="mode",
        keys="p",
        action="switch_mode",
        label="Patch mode",
        help="A new patch for every token (per-step), or the query's own patch held throughout (frozen).",
        group=_PATCH,
    ),
    Action(
        id="components",
        keys="c",
        action="switch_components",
        label="Patch parts",
        help="Let ΔW and the shift act together, the weights alone, or the shift alone.",
        group=_PATCH,
    ),
    Action(
        id="toggle_layer",
        keys="space",
        action="toggle_layer",
        label="Tick layer",
        help="Tick or untick the selected layer: measured and patched, or left out at the next run.",
        group=_PATCH,
    ),
    Action(
        id="all_layers",
        keys="a",
        action="tick_layers('all')",
        label="All layers",
        help="Tick every layer.",
        group=_PATCH,
    ),
    Action(
        id="no_layers",
        keys="n",
        action="tick_layers('none')",
        label="No layers",
        help="Untick every layer.",
        group=_PATCH,
    ),
    Action(
        id="invert_layers",
        keys="i",
        action="tick_layers('invert')",
        label="Invert layers",
        help="Tick what is unticked and the other way round.",
        group=_PATCH,
    ),
    Action(
        id="measure",
        keys="m",
        action="next_measure",
        label="Next measure",
        help="Show the next measure in plots, heatmap and layer list.",
        group=_PANES,
    ),
    Action(
        id="log",
        keys="y",
        action="switch_log_scale",
        label="Log scale",
        help="Logarithmic or linear scale in plots and heatmap.",
        group=_PANES,
    ),
    Action(
        id="next_tab",
        keys="right_square_bracket",
        action="move_tab(1)",
        label="Next tab",
        help="Show the next tab.",
        group=_PANES,
    ),
    Action(
        id="previous_tab",
        keys="left_square_bracket",
        action="move_tab(-1)",
        label="Previous tab",
        help="Show the tab before.",
        group=_PANES,
    ),
    Action(
        id="zoom",
        keys="z",
        action="zoom_pane",
        label="Zoom",
        help="Give the focused pane the whole screen; again: back.",
        group=_PANES,
    ),
    *(
        Action(
            id=f"pane_{pane}",
            keys=str(digit),
            action=f"show_pane('{pane}')",
            label=f"Go to {pane}",
            help=f"Jump to the {pane} pane.",
            group=_PANES,
        )
        for digit, pane in enumerate(PANES, start=1)
    ),
    Action(
        id="save",
        keys="ctrl+s",
        action="save_session",
        label="Save",
        help="Save prompt, choices and every number as a session file.",
        group=_FILE,
        is_in_footer=True,
    ),
    Action(
        id="save_as",
        keys="",
        action="save_session_as",
        label="Save as",
        help="Save the session under another name.",
        group=_FILE,
    ),
    Action(
        id="open",
        keys="ctrl+l,f3",
        action="open_session",
        label="Open",
        help="Open a session or an example.",
        group=_FILE,
        is_in_footer=True,
    ),
    Action(
        id="new",
        keys="ctrl+n",
        action="new_session",
        label="New",
        help="Start with an empty context and query.",
        group=_FILE,
    ),
    Action(
        id="help",
        keys="question_mark,f1",
        action="show_help",
        label="Help",
        help="Show every key and what each number means.",
        group=_FILE,
        is_in_footer=True,
    ),
    Action(
        id="quit",
        keys="ctrl+q",
        action="app.quit",
        label="Quit",
        help="Leave; asks when something is not saved.",
        group=_FILE,
        is_in_footer=True,
    ),
)

MOVES = (
    ("tab shift+tab", "To the next or the previous pane."),
    ("j k ↓ ↑", "Down and up; in the heatmap also h l ← →."),
    ("g G", "To the first and the last unit."),
    ("^d ^u", "Half a page down and up."),
)
"""What the panes' own keys do, for the help screen."""

BINDINGS: list[BindingType] = [action.binding() for action in ACTIONS if action.keys and action.id != "quit"]
"""The keys of the explorer's screen."""

QUIT = replace(next(action.binding() for action in ACTIONS if action.id == "quit"), priority=True)
"""The app's own key: it acts in dialogs too."""
