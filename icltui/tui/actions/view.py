"""Getting around: measures, plots, tabs, panes, words."""

from icltui.tui.actions.action import Action
from icltui.tui.state.pane_names import PANES, key_of

# fmt: off
VIEW_ACTIONS: tuple[Action, ...] = (
    Action("Look around", "measure", "m", "move_measure(1)", "Next measure",
        help="Show the next measure in plots, heatmap and layer list."),
    Action("Look around", "previous_measure", "M", "move_measure(-1)", "Previous measure",
        help="Show the previous measure."),
    Action("Look around", "log", "y", "switch_log_scale", "Log scale",
        help="Logarithmic or linear scale in plots and heatmap."),
    Action("Look around", "shade", "s", "move_coloring(1)", "Next colouring",
        help="Colour the context's text by the next number: ‖δ‖, ‖ΔW‖/‖W‖, h, drop-one, KL, |ΔKL|."),
    Action("Look around", "previous_shade", "S", "move_coloring(-1)", "Previous colouring",
        help="Colour the context's text by the previous number."),
    Action("Look around", "plot", "w", "next_plot", "Next plot",
        help="Show the next plot, or view of curves or heads; in the heatmap numbers, difference to B, patch effects."),
    Action("Look around", "next_tab", "right_square_bracket", "move_tab(1)", "Next tab",
        help="Show the next tab."),
    Action("Look around", "previous_tab", "left_square_bracket", "move_tab(-1)", "Previous tab",
        help="Show the previous tab."),
    Action("Look around", "find", "slash", "find_text", "Find", argument="WORD",
        help="Find a word in the units and their next tokens as you type; in log and exam, in their lines."),
    Action("Look around", "find_next", "n", "find_next(1)", "Next match",
        help="Go to the next match."),
    Action("Look around", "find_previous", "N", "find_next(-1)", "Previous match",
        help="Go to the previous match."),
    Action("Look around", "next_flip", "right_curly_bracket", "move_flip(1)", "Next flip", shown_keys="}",
        help="Go to the next unit at which the most likely next token becomes another one; round and round."),
    Action("Look around", "previous_flip", "left_curly_bracket", "move_flip(-1)", "Previous flip", shown_keys="{",
        help="Go to the previous unit at which the most likely next token becomes another one."),
    Action("Look around", "next_peak", "right_parenthesis", "move_peak(1)", "Next peak", shown_keys=")",
        help="Go to the next unit at which the chosen number peaks at this layer; round and round."),
    Action("Look around", "previous_peak", "left_parenthesis", "move_peak(-1)", "Previous peak", shown_keys="(",
        help="Go to the previous unit at which the chosen number peaks at this layer."),
    Action("Look around", "jump", "ctrl+o", "jump_by_letter", "Jump",
        help="Show a letter on every pane and tab: pressing it goes there, also from an editor."),
    Action("Look around", "zoom", "z", "zoom_pane", "Zoom",
        help="Give the focused pane the whole screen; again: back."),
    *(
        Action("Look around", f"pane_{pane}", key_of(pane), f"show_pane('{pane}')", f"Go to {pane}",
            help=f"Jump to the {pane} pane.")
        for pane in PANES
    ),
    *(
        Action("", f"leap_{pane}", f"alt+{key_of(pane)}", f"leap_to_pane('{pane}')", f"Go to {pane}",
            help=f"Jump to the {pane} pane, also while you write.")
        for pane in PANES if key_of(pane).isdecimal()
    ),
)
# fmt: on
