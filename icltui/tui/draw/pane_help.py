"""What each pane shows, how to read it, and by which formula: the texts of the help, for the pane in focus.

Symbols are those of :mod:`icltui.report.measures`. Every pane that has a digit has its text here.
"""

from dataclasses import dataclass

from icltui.tui.actions import ACTIONS
from icltui.tui.state.pane_names import PANES, key_of

Rows = list[tuple[str, str]]
"""Two columns: a key, a formula or a symbol, and what it does or means."""


@dataclass(frozen=True, kw_only=True)
class PaneHelp:
    """The help on one pane."""

    what: str
    """What the pane shows."""
    reading: str
    """How to read it."""
    formulas: tuple[tuple[str, str], ...] = ()
    """Formulas, and what they say."""
    actions: tuple[str, ...] = ()
    """The ids of the actions that matter most here."""
    keys: tuple[tuple[str, str], ...] = ()
    """Keys of the pane's own widget."""


_PATCH = (
    ("ΔW = (W δz) zᵀ / ‖z‖²", "added to every matrix W that reads z: a matrix of rank 1"),
    ("Δb = δv", "the shift: what the context adds to the residual stream, after the MLP branch"),
    ("T(C,x; W,b) = T(x; W+ΔW, b+Δb)", "the block's output: with the context, and without it but patched"),
)
_EDITING = (
    ("i ⏎", "Write: letters are text; a click on the text in focus does the same."),
    ("esc", "End writing: letters and digits are commands, j k h l g G move."),
    ("alt+1 … alt+0", "To another pane, also while you write."),
    ("^z ^y", "Undo and redo."),
)
_SCROLLING = (("j k ↓ ↑", "Scroll."), ("g G", "To the top and the bottom."))

PANE_HELP: dict[str, PaneHelp] = {
    "context": PaneHelp(
        what="The context: the text whose effect is measured. It comes before the query, joined to it as it is, "
        "so a line end or a space at its end counts.",
        reading="The border shows its tokens, counted together with the query's when the typing pauses. Numbers "
        "and lanes stay those of the older text, and say so, until ^r runs again. The tokens that the tokenizer "
        "itself puts first, and a chat template's header, are no context: they stay in every run.",
        actions=("run", "chat", "positions", "save"),
        keys=_EDITING,
    ),
    "query": PaneHelp(
        what="The query: the text that the model continues, with the context before it and without. It is never "
        "empty: everything is measured at its last token, where the next one is chosen.",
        reading="Both runs end in the same token ids. A token that would straddle the border of "
        "context and query belongs to the query, and the log says so.",
        actions=("run", "delta", "positions"),
        keys=_EDITING,
    ),
    "layers": PaneHelp(
        what="The model's layers. [x] is measured and patched at the next run, [ ] is left out, [-] was refused "
        "by the check when the model was loaded; the border says why.",
        reading="The cell after the layer's number is its mean of the chosen measure, on one scale for all layers; ▲ "
        "marks the greatest, where the list opens. The bars are the measure over the units, each layer on its own "
        "scale; the number after them is that at the selected unit. z gives each layer more lines. Once the patch "
        "is verified, the last number is the layer's block "
        "error. With every layer patched the query says what the context made it say; with some of them, "
        "what those layers alone carry.",
        formulas=(("block error", "‖O_patched − O_context‖ / ‖O_context‖, O: what the block puts out"),),
        actions=("toggle_layer", "all_layers", "no_layers", "invert_layers", "upward_layers", "range_layers"),
        keys=(
            (
                "- +",
                "The strength of this layer's patch, beside α: ×0 leaves it out, ×1 is the patch itself.",
            ),
        ),
    ),
    "stream": PaneHelp(
        what="One row for each unit of the context (a token, line or sentence) and what it did to the model, at "
        "one layer and at the query's last token. Row 0 is the empty context. The bar is the chosen number (m, M), "
        "which is the first of the columns; y makes its scale linear.",
        reading="‖δ‖ is how far a unit moved what the MLP reads; ‖ΔW‖/‖W‖ is the same as a change of weights; "
        "net is the way from the start, without detours. ▸ marks a flip: the most likely next token changes, and p "
        "is its probability. ▲ marks a peak of the chosen number: more than its neighbours, and above the median by "
        "three scaled median deviations. ~ marks a ‖δ‖ that is no more than rounding in the model's half precision; "
        "precision float32, in the form o, computes without it. A text that begins as its neighbours do is shown, "
        "after …, from where it differs; 0 shows it whole.",
        formulas=(
            ("δ_i = A_i − A_{i−1}", "A_i: the MLP's input z after the first i units"),
            ("W_i = W_{i−1} + (W_0 δ_i) A_0ᵀ / ‖A_0‖²", "each unit is one step of gradient descent"),
            ("h = 1 / ‖A_i‖²", "its implicit learning rate"),
        ),
        actions=("next_flip", "previous_flip", "next_peak", "previous_peak", "measure", "find", "dynamics"),
        keys=(
            (
                "s S",
                "Sort by the next column, the greatest on top; the other way round. A click on a title sorts too.",
            ),
            ("#", "Back to the text's order."),
        ),
    ),
    "plots": PaneHelp(
        what="One measure over the units of the context, a line for each ticked layer, the selected one bright; w "
        "plots other things: the next tokens and where they flip, what becomes of the patch as it is varied, and what "
        "a compilation has tried.",
        reading="The upright line is the selected unit; its numbers are above. A step in a line is a unit that "
        "mattered at that layer; a flat line is a layer that the context does not reach. Lines are named where they "
        "end, and coloured by depth. Units that are left out one at a time are bars, since none follows another. "
        "Log scale shows small numbers beside large ones.",
        actions=("plot", "measure", "previous_measure", "log", "curves", "figure", "find"),
        keys=(
            ("h l g G", "The cursor: a unit, or a point of what is varied."),
            ("j k ↓ ↑", "The line: of another layer, another token, a pinned curve."),
            ("V", "A small panel for each layer; again: for each measure; again: one plot."),
            ("+", "Pin the line in focus while runs come and go; again: let it go."),
        ),
    ),
    "heatmap": PaneHelp(
        what="One measure of every unit (left to right) at every layer (0 on top), as shades; its difference to run B; "
        "or what the patch of each layer does alone.",
        reading="Above the cells are the scale and the number under the crosshair. A strong column is a unit that "
        "moved all layers, a strong row a layer that all units move. Effects are causal, no norm: the query alone is "
        "answered with one layer's patch, made of the context up to the unit. The shade is the way from the answer "
        "without a patch (no shade) to the full context's; the other colour is further away. A patch brings what its "
        "layer and all below have read, and cannot undo that later layers miss the context. By construction the last "
        "layer's row is the context itself, and unit 0 is no patch.",
        actions=("plot", "effects", "measure", "previous_measure", "log", "find", "zoom"),
    ),
    "verify": PaneHelp(
        what="The proof: the patched model, without the context, compared with the model with it; and what would "
        "look the same if the patch meant nothing.",
        reading="Each error that decides is a share of what it is an error of, and beside it is its noise: what "
        "rounding makes of the same in right runs through kernels of other lengths. Twice that is allowed, or twice "
        "the arithmetic's own rounding where that is more, and no more than the tolerance of the model's numbers. "
        "Where the context itself does no more than rounding, nothing is proved. The controls should miss by far: a "
        "random patch of equal norms, and the patch of the shuffled context. The last layer's output fits by "
        "construction once that layer is patched. What ΔW or the shift achieve alone, and how far the controls miss, "
        "are the evidence.",
        formulas=(
            ("identity", "‖W z_C − (W+ΔW) z‖ / ‖W z_C‖, z_C: the MLP's input with the context"),
            ("block", "‖O_patched − O_context‖ / ‖O_context‖"),
            ("rank", "singular values of ΔW above the threshold: 1 where the context did anything"),
            ("align", "−cos(W δz, ∂ℓ/∂(Wz)): 1 if ΔW were a step of gradient descent on the loss ℓ"),
            ("KL", "Σ p log(p/p′) in nats, over the next token, p with the context"),
        ),
        actions=("verify", "mode", "components"),
        keys=_SCROLLING,
    ),
    "exam": PaneHelp(
        what="Patches of this context, each by the same test: one compiled patch (W), and with X every way from the "
        "context to weights. Below: the answers of the patch under the cursor to queries that it has not seen.",
        reading="R is 1 where the patched model says without the context what it says with it, 0 where the patch does "
        "nothing, below 0 where it is worse than none; the median over the queries, with its 95 % bootstrap interval. "
        "Other text: what the patch does to text that has nothing to do with the context, in nats a token; the less "
        "the better. Per step is the bound, random of equal norm the floor. ✓ and ✗ say whether an answer is right: "
        "the true one where a file gives it, else that with the context.",
        formulas=(
            (
                "R = 1 − KL(context ‖ patched) / KL(context ‖ no patch)",
                "both summed over a query's scored tokens",
            ),
            ("other text = E KL(model ‖ patched model)", "a token of unrelated text, in nats"),
        ),
        actions=("queries", "compile", "examine", "find", "copy"),
        keys=(("j k ↓ ↑", "Another patch, or another query."), ("tab", "To the answers, and back by x.")),
    ),
    "curves": PaneHelp(
        what="The loss at each position of context and query, −log p of the token that is there: with all of the "
        "text before it, and with only the earlier tokens of its own unit. One plot at a time, and above it the "
        "in-context-learning score.",
        reading="Where *with* is below *without* the earlier text helps. A negative ICL score: late tokens are "
        "predicted better than early ones. A text of one subject gets easier by itself; beside texts that the model "
        "wrote (O) a given one shows how much of that is the text's own. Losses of single tokens scatter: the means "
        "and intervals count, and short texts have wide ones.",
        formulas=(
            (
                "ICL score = mean loss at late positions − mean at early ones",
                "positions 500 and 50, or tenths",
            ),
            ("ΔNLL = loss without − loss with", "what the context gives at a token, in nats"),
            ("d loss / d ln t", "the slope of the loss in the logarithm of the position, from t/2 to 2t"),
        ),
        actions=("loss_curves", "own_text", "plot", "copy"),
        keys=(
            ("h l ← →", "Another position; ^d ^u by ten."),
            ("j k ↓ ↑", "Another line."),
            ("g G", "To the first and the last position."),
        ),
    ),
    "heads": PaneHelp(
        what="Every attention head by layer: how it scores on random tokens that are repeated; then, in one layer, "
        "what each head brings of each unit of the context to δ at the query's last token.",
        reading="An induction head looks at the token that came after the same token's first occurrence; a previous-"
        "token head at the one before. Random tokens hold nothing else to go by. A share of δ has a sign: heads may "
        "pull against each other, and all shares of a layer sum to 1. Scores say what heads attend to, not what "
        "they do with it.",
        formulas=(
            (
                "δ = Σ_h W_O^h Σ_j α_hj (v_j − o_h)",
                "over heads h and tokens j of the context; o_h without the context",
            ),
            ("share = ⟨c_hj, δ⟩ / ‖δ‖²", "c_hj is the part of head h and unit j"),
        ),
        actions=("heads", "plot", "copy"),
        keys=(("h j k l ↓ ↑", "The crosshair."), ("g G", "To the first and the last column.")),
    ),
    "log": PaneHelp(
        what="What happened, line by line: engine and model, how units are measured and why, what a patch is "
        "worth, failures, and the last lines of an engine that died.",
        reading="The newest line is at the end. Nothing here needs action; what does is shown on the screen.",
        actions=("find", "find_next", "run"),
        keys=_SCROLLING,
    ),
    "lanes": PaneHelp(
        what="Three continuations of the query: with the context, without it, and without it but with the "
        "weights changed by ΔW and the shift. All draw the same random numbers, so they differ only where "
        "their distributions do.",
        reading="Every token that differs from the first lane's is underlined. The stronger its shade, the further the "
        "lane is from what the context would say there, after the lane's own text so far (none below 0.01 nats), or "
        "the less probable it was (none from .9 on); the border says which. Below: the token at the cursor and its "
        "alternatives, on the same lines in all lanes. In the border: KL right after the query, and how many tokens "
        "are equal. A branch makes this lane begin otherwise, as a run of its own; ^r begins freely again. Per step "
        "the patched lane is exact on all layers; frozen and compiled are held, and are the honest test.",
        formulas=(*_PATCH, ("KL_i = KL(p(·|C,x,y_<i) ‖ lane(·|x,y_<i))", "y: the lane's own text, in both")),
        actions=("delta", "weaker", "stronger", "mode", "components", "carrier", "queries", "settings"),
        keys=(
            ("h l g G", "Another token, in all lanes."),
            ("j k ↓ ↑", "Another alternative."),
            ("⏎", "Branch: this lane goes on from the alternative."),
            ("+", "As many tokens again."),
            ("s", "Shade by KL, or by p."),
            ("^d ^u", "Scroll the text."),
        ),
    ),
    "text": PaneHelp(
        what="The context's own text, each unit marked by how much it matters.",
        reading="The stronger the mark, the greater the number; the selected unit is the one of table, plots "
        "and heatmap. Missing one at a time (drop) shows each unit's own share.",
        actions=("shade", "previous_shade", "dynamics", "find"),
    ),
}

SYMBOLS: Rows = [
    ("z", "the vector that the MLP's first matrices read, at the query's last token"),
    ("A_i", "z after the first i units (grow), or with i taken away (shrink); A_0 is where it begins"),
    ("v, g", "the residual stream before the MLP; the input of the MLP's down projection"),
    ("W", "every matrix that reads z: c_fc, or gate and up, or router and experts; d is the width of z"),
    ("δ, δz, δv", "the difference that a unit, or all of the context, makes to z (δ, δz) and to v"),
    ("u, p", "u = W δ, what an update adds; p = W A, what the matrix answers"),
    ("‖·‖", "length of a vector; of a matrix the root of the sum of squares"),
]
"""What the letters in the formulas stand for."""

MEASURED = ("layers", "plots", "heatmap", "text")
"""The panes that show the chosen measure, whose formula is then theirs."""


def pane_title(pane: str) -> str:
    """``4 Stream``: the key that leads there and the name."""
    key = f"{key_of(pane)} " if pane in PANES else ""
    return f"{key}{pane.capitalize()}"


def action_rows(ids: tuple[str, ...]) -> Rows:
    """Keys and meaning of some actions, from the one table."""
    known = {action.id: action for action in ACTIONS}
    return [(known[i].keys_text(), known[i].help) for i in ids if i in known]
