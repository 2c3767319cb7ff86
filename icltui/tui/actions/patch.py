"""The patch: how it is made, how strong, at which layers."""

from icltui.tui.actions.action import Action

# fmt: off
PATCH_ACTIONS: tuple[Action, ...] = (
    Action("Patch", "mode", "p", "next_choice('mode')", "Patch mode",
        help="A new patch per token (per-step), the last query token's, held (frozen), or one of many (compiled)."),
    Action("Patch", "components", "c", "next_choice('components')", "Patch parts",
        help="Let ΔW and the shift act together, the weights alone, or the shift alone."),
    Action("Patch", "carrier", "b", "next_choice('carrier')", "Shift carrier",
        help="Held, the shift rides on the down projection (output), or is a constant (bias), which repeats itself."),
    Action("Patch", "weaker", "left", "change_alpha(-0.05)", "Weaker patch", shown_keys="←",
        help="Lower the strength α by 0.05 and generate the patched lane again; shift: by 0.5, < : by 0.01."),
    Action("Patch", "stronger", "right", "change_alpha(0.05)", "Stronger patch", shown_keys="→",
        help="Raise the strength α by 0.05, up to 2, and generate the patched lane again; shift: by 0.5, > : by 0.01."),
    Action("", "much_weaker", "shift+left", "change_alpha(-0.5)", "α -0.5", help="Lower the strength α by 0.5."),
    Action("", "much_stronger", "shift+right", "change_alpha(0.5)", "α +0.5", help="Raise the strength α by 0.5."),
    Action("", "little_weaker", "less_than_sign", "change_alpha(-0.01)", "α -0.01",
        help="Lower the strength α by 0.01."),
    Action("", "little_stronger", "greater_than_sign", "change_alpha(0.01)", "α +0.01",
        help="Raise the strength α by 0.01."),
    Action("Patch", "settings", "o", "set_choices", "Settings",
        help="Type strength, fit, rank, ridge, controls, held-out queries, sampling, tokens and units."),
    Action("Patch", "queries", "Q", "edit_queries", "Queries",
        help="Write the queries that a compiled patch is fitted on and those that it is tested on; or take a file's."),
    Action("Patch", "curves", "C", "vary_patch", "Curves",
        help="Turn ΔW on and vary the patch: KL against α, against layers from both ends, and against queries."),
    Action("Patch", "toggle_layer", "space", "toggle_layer", "Tick layer",
        help="Tick or untick the selected layer: measured and patched, or left out at the next run."),
    Action("Patch", "all_layers", "a", "tick_layers('all')", "All layers",
        help="Tick every layer that is not refused."),
    Action("Patch", "no_layers", "", "tick_layers('none')", "No layers", shown_keys="n",
        help="Untick every layer; the key is the layer list's own."),
    Action("Patch", "invert_layers", "i", "tick_layers('invert')", "Invert layers",
        help="Tick what is unticked and the other way round."),
    Action("Patch", "upward_layers", "f", "tick_upwards", "From here up",
        help="Tick the selected layer and every later one, and no other."),
    Action("Patch", "range_layers", "r", "type_layers", "Layers by range",
        help="Type the layers: all, none, last, or a list such as 0,3,5-8."),
)
# fmt: on
