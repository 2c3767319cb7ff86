"""To run, to stop, and what is measured how."""

from icltui.tui.actions.action import Action

# fmt: off
RUN_ACTIONS: tuple[Action, ...] = (
    Action("Run", "run", "ctrl+r,f5", "run_prompt", "Run", is_in_footer=True,
        help="Measure the prompt and generate the lanes; restarts the engine if it is gone."),
    Action("Patch", "delta", "ctrl+t", "switch_delta", "ΔW", is_in_footer=True, shown_keys="^t d",
        help="Turn ΔW on or off and generate again: does the query alone now say what the context made it say?"),
    Action("", "delta_letter", "d", "switch_delta", "ΔW",
        help="Turn ΔW on or off."),
    Action("Run", "verify", "v", "verify_patch", "Verify", is_in_footer=True,
        help="Prove the patch on this prompt: block outputs, logits, controls and the noise floor."),
    Action("Run", "loss_curves", "I", "measure_curves", "Loss curves",
        help="Measure the loss at each position, with the context and without: what in-context learning gains."),
    Action("Run", "own_text", "O", "measure_curves(4)", "Own text",
        help="The same, beside four texts of equal length that the model writes itself."),
    Action("Run", "heads", "K", "measure_heads", "Heads",
        help="Score every attention head on repeated random tokens, and split δ by head and unit of the context."),
    Action("Run", "effects", "E", "measure_effects", "Patch effects",
        help="Let the patch of each layer act alone, of the context up to each unit: how near does the answer come?"),
    Action("Run", "stop", "escape", "stop_job", "Stop",
        help="Stop the running job; again: end the engine. Otherwise leave the editor, or the zoom."),
    Action("What is measured", "dynamics", "D", "next_choice('dynamics')", "Dynamics",
        help="Units arrive from the left (grow), leave from the left (shrink), or are missing one at a time (drop)."),
    Action("What is measured", "open_unit", "enter", "open_unit", "Open unit",
        help="Measure the selected sentence or line by its tokens; on one of these: the whole again."),
    Action("What is measured", "reference", "R", "next_choice('reference')", "Reference",
        help="A missing unit was never there (free), or is only hidden from each layer's own attention (local)."),
    Action("What is measured", "positions", "P", "next_choice('positions')", "Positions",
        help="Without context the query moves up to what is left (reset), or keeps its positions (keep)."),
    Action("What is measured", "chat", "T", "next_choice('chat')", "Chat template",
        help="Put context and query into the model's chat template or not; its header stays in every run."),
)
# fmt: on
