"""The proof of the patch as text: verdict, logits, controls, and every layer."""

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from icltui.record import LayerCheck, LogitError, Verification
from icltui.tui.cells import content, number

_EMPTY = (
    "Not verified yet: v does it.\n\n"
    "It runs the patched model on this prompt and compares, layer by layer and at the logits, with the run that "
    "has the context, beside controls: a random patch of equal norms, and the patch of a shuffled context."
)
_COLUMNS = {"MLP ΔW": 10, "identity": 10, "block": 10, "cosine": 10, "NMSE": 10, "rank": 7, "align": 8}
"""What is checked at each layer, with its cells: all of it fits 80 columns."""
_NAMES = {
    "plain": "no patch",
    "weights": "ΔW alone",
    "shift": "shift alone",
    "patched": "ΔW and shift",
    "random": "control: random patch, equal norms",
    "shuffled": "control: shuffled context",
}


def proof_text(proof: Verification) -> Content:
    """The whole verification; numbers in columns, the verdict first."""
    verdict = "✓ the patched model is the contextual one" if proof.ok else "✗ the patched model differs"
    undone = "yes" if proof.undone else "NO"
    head = [
        Content(verdict).stylize("bold $success" if proof.ok else "bold $error"),
        content(
            f"tolerance {proof.tolerance:.1e} · noise floor {proof.noise_floor:.1e} · undone exactly: {undone}"
        ),
    ]
    errors = {**proof.logits, **proof.controls}
    logits = [
        Content(f"{'last-token logits':<36}{'MSE':>9}{'KL':>9}{'L∞':>9}  top-1").stylize("$foreground-muted")
    ]
    logits += [_logit_line(name, error) for name, error in errors.items()]
    titles = "".join(title.rjust(width) for title, width in _COLUMNS.items())
    layers = [Content(f"layer{titles}").stylize("$foreground-muted")]
    layers += [Content(f"{check.layer:>5}" + "".join(_layer_cells(check))) for check in proof.layers]
    note = [content(proof.note).stylize("$foreground-muted")] if proof.note else []
    blocks = [head, logits, layers, note]
    return Content("\n\n").join([Content("\n").join(lines) for lines in blocks if lines])


def _layer_cells(check: LayerCheck) -> Iterator[str]:
    """One cell under each title."""
    errors = (check.mlp_error, check.identity_error, check.block_error)
    values = (*errors, check.cosine, check.nmse, check.rank, check.gradient_alignment)
    for value, width in zip(values, _COLUMNS.values(), strict=True):
        text = str(value) if isinstance(value, int) else number(value, width - 1)
        yield text.rjust(width)


def _logit_line(name: str, error: LogitError) -> Content:
    numbers = "".join(" " + number(value, 8) for value in (error.mse, error.kl, error.linf))
    return Content(f"{_NAMES.get(name, name):<36}{numbers}  {'same' if error.top1_equal else 'other'}")


class VerifyView(VerticalScroll, can_focus=True):
    """The proof, or how to get one."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._body = Static(Content(_EMPTY))

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._body

    def show(self, proof: Verification | None) -> None:
        """Draw ``proof``; None: say how to get one."""
        self._body.update(proof_text(proof) if proof else Content(_EMPTY))
