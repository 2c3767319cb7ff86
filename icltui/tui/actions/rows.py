"""Rows of a folder: which are shown in what order, and what is done with one."""

from icltui.tui.actions.action import Action

# fmt: off
ROW_ACTIONS: tuple[Action, ...] = (
    Action("Rows", "rows_open", "enter", "open_row", "Open", is_in_footer=True,
        help="Open the row as a session in the explorer, whose engine starts now; esc comes back. A group: its rows."),
    Action("Rows", "rows_filter", "slash", "filter_rows", "Filter", is_in_footer=True,
        help="Type which rows to show, such as kl_plain > 1, tags:capital, or a word; ? explains it."),
    Action("Rows", "rows_sort", "s", "sort_rows", "Sort", is_in_footer=True,
        help="Sort by this column upwards; again: downwards; again: as in the files."),
    Action("Rows", "rows_group", "b", "group_rows", "Group", is_in_footer=True,
        help="Group the rows by this column, with counts and medians; again, or esc: back to the rows."),
    Action("Rows", "rows_plot", "p", "plot_rows", "Plot", is_in_footer=True,
        help="Plot this column over the rows that are shown; again, or esc: back to the table."),
    Action("Rows", "rows_axis", "x", "take_axis", "X axis",
        help="Take this column as the x axis, against which others are plotted; again: a histogram each."),
    Action("Rows", "rows_log", "y", "switch_log_scale", "Log scale",
        help="Logarithmic or linear scale in plots."),
    Action("Rows", "rows_fields", "v", "show_fields", "Fields",
        help="Show every field of the row, whole."),
    Action("Rows", "rows_summary", "m", "show_summary", "Summary",
        help="Show the folder's summary: its tables and what was found."),
    Action("Rows", "rows_reload", "r,f5", "reload_rows", "Reload",
        help="Read the folder again: what has been written since comes in, the row under the cursor stays."),
    Action("Rows", "rows_copy", "ctrl+g", "copy_row", "Copy row",
        help="Send every field of the row to the terminal's clipboard (OSC 52)."),
    Action("Rows", "rows_back", "escape", "go_back", "Back",
        help="Stop reading; else back from plot or group; else to the session that is open in the explorer."),
    Action("Rows", "rows_redraw", "U,f8", "app.redraw", "Redraw",
        help="Redraw the whole screen, for instance after another program has written over it."),
    Action("Rows", "rows_help", "question_mark,f1", "show_help", "Help", is_in_footer=True,
        help="Show the keys, what a filter may say, and every column."),
)
# fmt: on
