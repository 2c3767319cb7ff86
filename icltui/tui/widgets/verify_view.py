"""The proof of the patch as text: verdict, logits, controls, and every layer."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from icltui.record import LogitError, Verification
from icltui.tui.cells import content, number

_EMPTY = (
    "Not verified yet: v does it.\n\n"
    "It runs the patched model on this prompt and compares, layer by layer and at the logits, with the run that "
    "has the context, beside controls: a random patch of equal norms, and the patch of a shuffled context."
)
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
    layers = [
        Content(f"layer{'identity':>11}{'block':>11}{'cosine':>11}{'NMSE':>11}").stylize("$foreground-muted")
    ]
    for check in proof.layers:
        values = (check.identity_error, check.block_error, check.cosine, check.nmse)
        layers.append(Content(f"{check.layer:>5}" + "".join("  " + number(value, 9) for value in values)))
    note = [content(proof.note).stylize("$foreground-muted")] if proof.note else []
    blocks = [head, logits, layers, note]
    return Content("\n\n").join([Content("\n").join(lines) for lines in blocks if lines])


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
