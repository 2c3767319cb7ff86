"""What is kept: the runs before, the session, its files; and the program itself."""

from icltui.tui.actions.action import Action

# fmt: off
SESSION_ACTIONS: tuple[Action, ...] = (
    Action("Earlier runs", "earlier_run", "comma", "step_run(-1)", "Earlier run", shown_keys=",",
        help="Show the run above in the tree, with its prompt, choices and numbers; running from there branches."),
    Action("Earlier runs", "later_run", "full_stop", "step_run(1)", "Later run", shown_keys=".",
        help="Show the run below in the tree."),
    Action("Earlier runs", "runs", "H", "show_runs", "Runs",
        help="The tree of this session's runs: go to one, star, note, prune, search, put two side by side."),
    Action("Earlier runs", "fan", "ampersand", "fan_out", "Fan",
        help="Run a grid of one choice from this run, such as alpha 0 0.5 1, mode, or layers each."),
    Action("Earlier runs", "note", "A", "note_run", "Note",
        help="Write a line about this run; it is saved with the session."),
    Action("Earlier runs", "compare", "B", "compare_runs", "Compare",
        help="Compare this run with another one or another session: curves overlaid, differences listed."),
    Action("Session", "save", "ctrl+s", "save_session", "Save", is_in_footer=True,
        help="Save prompt, choices and every number as a session file."),
    Action("Session", "save_as", "", "save_session_as", "Save as",
        help="Save the session under another name."),
    Action("Session", "open", "ctrl+l,f3", "open_session", "Open", is_in_footer=True,
        help="Open a session or an example."),
    Action("Session", "new", "ctrl+n", "new_session", "New",
        help="Start with an empty context and query."),
    Action("Session", "export", "e", "export_session", "Export",
        help="Write a report, a table, a figure, a picture of the pane, or the patch for another program."),
    Action("Session", "copy", "ctrl+g", "copy_pane", "Copy pane",
        help="Send what the focused pane holds to the terminal's clipboard, through SSH and tmux too (OSC 52)."),
    Action("Session", "model", "L,f2", "load_model", "Load model",
        help="Load another model: a recent one, a folder, a GGUF file, Ollama's, or an id; first its memory is shown."),
    Action("Session", "redraw", "U,f8", "app.redraw", "Redraw",
        help="Redraw the whole screen, for instance after another program has written over it."),
    Action("Session", "help", "question_mark,f1", "show_help", "Help", is_in_footer=True,
        help="Explain the focused pane, and show every key and what each number means."),
    Action("Session", "manual", "", "show_manual", "Manual",
        help="Read the manual: tutorial, commands, keys, measures, maths, verification, patches and more."),
    Action("Session", "tour", "", "start_tour", "Tour",
        help="Five steps on the first example, each over once you have done it."),
    Action("Session", "quit", "ctrl+q", "app.quit", "Quit", is_in_footer=True,
        help="Leave; asks when something is not saved. In a dialog: close it."),
)
# fmt: on
