"""Getting around: measures, plots, tabs, panes, words."""

from icltui.tui.actions.action import Action
from icltui.tui.state.panes import PANES, digit_of

VIEW_ACTIONS: tuple[Action, ...] = (
    Action(
        id="measure",
        keys="m",
        action="move_measure(1)",
        label="Next measure",
        help="Show the next measure in plots, heatmap and layer list.",
        group="Look around",
    ),
    Action(
        id="previous_measure",
        keys="M",
        action="move_measure(-1)",
        label="Previous measure",
        help="Show the measure before.",
        group="Look around",
    ),
    Action(
        id="log",
        keys="y",
        action="switch_log_scale",
        label="Log scale",
        help="Logarithmic or linear scale in plots and heatmap.",
        group="Look around",
    ),
    Action(
        id="shade",
        keys="s",
        action="move_coloring(1)",
        label="Next colouring",
        help="Colour the context's text by the next number: ‖δ‖, ‖ΔW‖/‖W‖, h, drop-one, KL, |ΔKL|.",
        group="Look around",
    ),
    Action(
        id="previous_shade",
        keys="S",
        action="move_coloring(-1)",
        label="Previous colouring",
        help="Colour the context's text by the number before.",
        group="Look around",
    ),
    Action(
        id="plot",
        keys="w",
        action="next_plot",
        label="Next plot",
        help="Plot the next thing: a measure, next tokens and their flips, the patch against α, layers, queries.",
        group="Look around",
    ),
    Action(
        id="next_tab",
        keys="right_square_bracket",
        action="move_tab(1)",
        label="Next tab",
        help="Show the next tab.",
        group="Look around",
    ),
    Action(
        id="previous_tab",
        keys="left_square_bracket",
        action="move_tab(-1)",
        label="Previous tab",
        help="Show the tab before.",
        group="Look around",
    ),
    Action(
        id="find",
        keys="slash",
        action="find_text",
        label="Find",
        help="Find a word in the units and the next tokens behind them, as you type; in the log, in its lines.",
        group="Look around",
    ),
    Action(
        id="find_next",
        keys="n",
        action="find_next(1)",
        label="Next match",
        help="Go to the next place where the word stands.",
        group="Look around",
    ),
    Action(
        id="find_previous",
        keys="N",
        action="find_next(-1)",
        label="Match before",
        help="Go to the place before.",
        group="Look around",
    ),
    Action(
        id="jump",
        keys="ctrl+o",
        action="jump_by_letter",
        label="Jump",
        help="Show a letter on every pane and tab: pressing it goes there, also from an editor.",
        group="Look around",
    ),
    Action(
        id="zoom",
        keys="z",
        action="zoom_pane",
        label="Zoom",
        help="Give the focused pane the whole screen; again: back.",
        group="Look around",
    ),
    *(
        Action(
            id=f"pane_{pane}",
            keys=str(digit_of(pane)),
            action=f"show_pane('{pane}')",
            label=f"Go to {pane}",
            help=f"Jump to the {pane} pane.",
            group="Look around",
        )
        for pane in PANES
    ),
)
