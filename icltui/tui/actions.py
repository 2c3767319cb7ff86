"""Every action of the explorer, once.

From this table come the key bindings, the footer, the help screen and the command palette.
"""

from dataclasses import replace

from textual.binding import BindingType

from icltui.tui.action import Action

PANES = ("context", "query", "layers", "stream", "plots", "heatmap", "verify", "log", "lanes", "text")
"""In the order of their digits, 1 to 9 and 0."""
TABS = (*PANES[3:8], "text")
"""Those that share one place."""


def digit_of(pane: str) -> int:
    """The key that leads to a pane."""
    return (PANES.index(pane) + 1) % 10


_RUN, _METHOD, _PANES, _PATCH = "Run", "What is measured", "Look around", "Patch"
_RUNS, _FILE = "Runs before", "Session"

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
        id="dynamics",
        keys="D",
        action="next_choice('dynamics')",
        label="Dynamics",
        help="Units arrive from the left (grow), leave from the left (shrink), or are missing one at a time (drop).",
        group=_METHOD,
    ),
    Action(
        id="reference",
        keys="R",
        action="next_choice('reference')",
        label="Reference",
        help="A missing unit was never there (free), or is only hidden from each layer's own attention (local).",
        group=_METHOD,
    ),
    Action(
        id="positions",
        keys="P",
        action="next_choice('positions')",
        label="Positions",
        help="Without context the query moves up to what is left (reset), or stays where it stood (keep).",
        group=_METHOD,
    ),
    Action(
        id="chat",
        keys="T",
        action="next_choice('chat')",
        label="Chat template",
        help="Put context and query into the model's chat template, whose header stays in every run, or do not.",
        group=_METHOD,
    ),
    Action(
        id="mode",
        keys="p",
        action="next_choice('mode')",
        label="Patch mode",
        help="A new patch per token (per-step), the last query token's, held (frozen), or one of many (compiled).",
        group=_PATCH,
    ),
    Action(
        id="components",
        keys="c",
        action="next_choice('components')",
        label="Patch parts",
        help="Let ΔW and the shift act together, the weights alone, or the shift alone.",
        group=_PATCH,
    ),
    Action(
        id="carrier",
        keys="b",
        action="next_choice('carrier')",
        label="Shift carrier",
        help="Held, the shift rides on the down projection (output), or is a constant (bias), which repeats itself.",
        group=_PATCH,
    ),
    Action(
        id="weaker",
        keys="left",
        action="change_alpha(-0.05)",
        label="Weaker patch",
        help="Less strength α, by 0.05, and the patched lane again; shift: by 0.5, < : by 0.01.",
        group=_PATCH,
        shown_keys="←",
    ),
    Action(
        id="stronger",
        keys="right",
        action="change_alpha(0.05)",
        label="Stronger patch",
        help="More strength α, by 0.05, up to 2, and the patched lane again; shift: by 0.5, > : by 0.01.",
        group=_PATCH,
        shown_keys="→",
    ),
    *(
        Action(id=id, keys=keys, action=f"change_alpha({step})", label=f"α {step:+}", help=words, group="")
        for id, keys, step, words in (
            ("much_weaker", "shift+left", -0.5, "Less strength α, by 0.5."),
            ("much_stronger", "shift+right", 0.5, "More strength α, by 0.5."),
            ("little_weaker", "less_than_sign", -0.01, "Less strength α, by 0.01."),
            ("little_stronger", "greater_than_sign", 0.01, "More strength α, by 0.01."),
        )
    ),
    Action(
        id="settings",
        keys="o",
        action="set_choices",
        label="Settings",
        help="Type strength, fit, rank, ridge, controls, held-out queries, sampling, tokens and units.",
        group=_PATCH,
    ),
    Action(
        id="curves",
        keys="C",
        action="vary_patch",
        label="Curves",
        help="Turn ΔW on and vary the patch: KL against α, against layers from both ends, and against queries.",
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
        help="Tick every layer that is not refused.",
        group=_PATCH,
    ),
    Action(
        id="no_layers",
        keys="",
        shown_keys="n",
        action="tick_layers('none')",
        label="No layers",
        help="Untick every layer; the key is the layer list's own.",
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
        id="upward_layers",
        keys="f",
        action="tick_upwards",
        label="From here up",
        help="Tick the selected layer and every later one, and no other.",
        group=_PATCH,
    ),
    Action(
        id="range_layers",
        keys="r",
        action="type_layers",
        label="Layers by range",
        help="Type the layers: all, none, last, or such as 0,3,5-8.",
        group=_PATCH,
    ),
    Action(
        id="measure",
        keys="m",
        action="move_measure(1)",
        label="Next measure",
        help="Show the next measure in plots, heatmap and layer list.",
        group=_PANES,
    ),
    Action(
        id="previous_measure",
        keys="M",
        action="move_measure(-1)",
        label="Previous measure",
        help="Show the measure before.",
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
        id="shade",
        keys="s",
        action="move_shade(1)",
        label="Next colouring",
        help="Colour the context's text by the next number: ‖δ‖, ‖ΔW‖/‖W‖, h, drop-one, KL, |ΔKL|.",
        group=_PANES,
    ),
    Action(
        id="previous_shade",
        keys="S",
        action="move_shade(-1)",
        label="Previous colouring",
        help="Colour the context's text by the number before.",
        group=_PANES,
    ),
    Action(
        id="plot",
        keys="w",
        action="next_plot",
        label="Next plot",
        help="Plot the next thing: a measure, next tokens and their flips, the patch against α, layers, queries.",
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
        id="find",
        keys="slash",
        action="find_text",
        label="Find",
        help="Find a word in the units and the next tokens behind them, as you type; in the log, in its lines.",
        group=_PANES,
    ),
    Action(
        id="find_next",
        keys="n",
        action="find_next(1)",
        label="Next match",
        help="Go to the next place where the word stands.",
        group=_PANES,
    ),
    Action(
        id="find_previous",
        keys="N",
        action="find_next(-1)",
        label="Match before",
        help="Go to the place before.",
        group=_PANES,
    ),
    Action(
        id="jump",
        keys="ctrl+o",
        action="jump_by_letter",
        label="Jump",
        help="Show a letter on every pane and tab: pressing it goes there, also from an editor.",
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
            keys=str(digit_of(pane)),
            action=f"show_pane('{pane}')",
            label=f"Go to {pane}",
            help=f"Jump to the {pane} pane.",
            group=_PANES,
        )
        for pane in PANES
    ),
    Action(
        id="earlier_run",
        keys="comma",
        action="step_run(-1)",
        label="Earlier run",
        help="Put the run before on the screen, prompt, choices and numbers; running from there branches.",
        group=_RUNS,
        shown_keys=",",
    ),
    Action(
        id="later_run",
        keys="full_stop",
        action="step_run(1)",
        label="Later run",
        help="Put the next run on the screen.",
        group=_RUNS,
        shown_keys=".",
    ),
    Action(
        id="runs",
        keys="H",
        action="show_runs",
        label="Runs",
        help="List the runs of this session: go to one, compare with one, write a note.",
        group=_RUNS,
    ),
    Action(
        id="note",
        keys="A",
        action="note_run",
        label="Note",
        help="Write a line about this run; it is saved with the session.",
        group=_RUNS,
    ),
    Action(
        id="compare",
        keys="B",
        action="compare_runs",
        label="Compare",
        help="Hold this run against another one or another session: curves overlaid, differences listed.",
        group=_RUNS,
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
        id="export",
        keys="e",
        action="export_session",
        label="Export",
        help="Write a report, a table, a figure, a picture of the pane, or the patch for another program.",
        group=_FILE,
    ),
    Action(
        id="copy",
        keys="ctrl+g",
        action="copy_pane",
        label="Copy pane",
        help="Send what the focused pane holds to the terminal's clipboard, through SSH and tmux too (OSC 52).",
        group=_FILE,
    ),
    Action(
        id="model",
        keys="L,f2",
        action="load_model",
        label="Load model",
        help="Load another model: one of the last ones, a folder or a Hugging Face id; says first what it takes.",
        group=_FILE,
    ),
    Action(
        id="help",
        keys="question_mark,f1",
        action="show_help",
        label="Help",
        help="Explain the focused pane, and show every key and what each number means.",
        group=_FILE,
        is_in_footer=True,
    ),
    Action(
        id="tour",
        keys="",
        action="start_tour",
        label="Tour",
        help="Five steps on the first example, each left behind once you have done it.",
        group=_FILE,
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
    ("j k ↓ ↑", "Down and up; in heatmap and text also h l ← →."),
    ("g G", "To the first and the last unit."),
    ("^d ^u", "Half a page down and up."),
)
"""What the panes' own keys do, for the help screen."""

BINDINGS: list[BindingType] = [action.binding() for action in ACTIONS if action.keys and action.id != "quit"]
"""The keys of the explorer's screen."""

QUIT = replace(next(action.binding() for action in ACTIONS if action.id == "quit"), priority=True)
"""The app's own key: it acts in dialogs too."""
