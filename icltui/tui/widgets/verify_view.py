"""The proof of the patch as text: verdict, logits, controls, and the errors of every layer."""

from collections.abc import Iterable, Iterator

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from icltui.report.measures import LAYER_CHECKS
from icltui.report.verify import held_errors
from icltui.tui.draw.safe_text import content, fit, number
from icltui.tui.widgets.vim_scroll import VimScroll
from icltui.values import LayerCheck, LogitError, Verification

_EMPTY = (
    "Not verified yet: v does it.\n\n"
    "It runs the patched model on this prompt and compares, layer by layer and at the logits, with the run that "
    "has the context, beside controls: a random patch of equal norms, and the patch of a shuffled context."
)
_GIVES_WAY = ("cosine", "nmse")
"""What narrow lines leave out: it says no more than the block error does."""
_LONG = 35
"""Cells of a name that says the error in full."""
_WIDE = 5 + sum(column.width for column in LAYER_CHECKS.values())
"""Cells of a line with every column: it fits 80."""
_NAMES = {
    "plain": "no patch",
    "weights": "ΔW alone",
    "shift": "shift alone",
    "patched": "ΔW and shift",
    "random": "control: random patch, equal norms",
    "shuffled": "control: shuffled context",
}


def proof_text(proof: Verification, width: int = _WIDE) -> Content:
    """The whole verification; numbers in columns within ``width`` cells, 48 at least, the verdict first."""
    head = [_verdict(proof), *map(content, filter(None, [proof.caveat, _limits(proof)]))]
    errors = {**proof.logits, **proof.controls}
    names = min(36, width - 34)
    held = list(_held_lines(proof, min(36, width - 36)))
    logits = [
        Content(f"{fit('last-token logits', names)}{'MSE':>9}{'KL':>9}{'L∞':>9}  top-1").stylize(
            "$foreground-muted"
        )
    ]
    logits += [_logit_line(name, error, names) for name, error in errors.items()]
    columns = [field for field in LAYER_CHECKS if width >= _WIDE or field not in _GIVES_WAY]
    titles = "".join(LAYER_CHECKS[field].symbol.rjust(LAYER_CHECKS[field].width) for field in columns)
    layers = [Content.styled(f"layer{titles}", "$foreground-muted")]
    layers += [Content(f"{check.layer:>5}" + "".join(_layer_cells(check, columns))) for check in proof.layers]
    note = [content(proof.note).stylize("$foreground-muted")] if proof.note else []
    blocks = [head, logits, held, layers, note]
    return Content("\n\n").join([Content("\n").join(lines) for lines in blocks if lines])


def _limits(proof: Verification) -> str:
    """The noise floor in logits, where no table says it as a share; and whether the patch was undone."""
    undone = f"undone exactly: {'yes' if proof.undone else 'NO'}"
    if proof.logit_scale is None:
        return f"tolerance {proof.tolerance:.1e} · noise floor {proof.noise_floor:.1e} · {undone}"
    return f"{undone} · noise floor {number(proof.noise_floor, 8).strip()} logits"


def _held_lines(proof: Verification, names: int) -> Iterator[Content]:
    """What decides: each error beside its floor and what is allowed, as shares of what it is an error of."""
    held = held_errors(proof)
    if held:
        title = f"{fit('share of contextual', names)}{'error':>9}{'noise':>9}{'allowed':>9}"
        yield Content(f"{title} no patch").stylize("$foreground-muted")
    for one in held:
        texts = one.what if names >= _LONG else one.short
        where = "" if one.layer is None else f", layer {one.layer}" if names >= _LONG else f" L{one.layer}"
        numbers = (one.error, one.floor, one.allowed, one.effect)
        yield Content(f"{fit(texts + where, names)}" + "".join(" " + number(value, 8) for value in numbers))


def _verdict(proof: Verification) -> Content:
    if not proof.ok:
        words = "the proof fails" if proof.caveat else "the patched model differs"
        return Content.styled(f"✗ {words}", "bold $text-error")
    if proof.layers and all(check.rank == 0 for check in proof.layers):
        return Content.styled(
            "○ the context changes nothing here, so nothing was proved", "bold $text-warning"
        )
    words = "the patched model is the contextual one"
    if proof.caveat:
        return Content.styled(f"○ {words}, to within rounding", "bold $text-warning")
    return Content.styled(f"✓ {words}", "bold $text-success")


def _layer_cells(check: LayerCheck, fields: Iterable[str]) -> Iterator[str]:
    """One cell under each title."""
    for field in fields:
        value, width = getattr(check, field), LAYER_CHECKS[field].width
        text = str(value) if isinstance(value, int) else number(value, width - 1)
        yield text.rjust(width)


def _logit_line(name: str, error: LogitError, width: int) -> Content:
    numbers = "".join(" " + number(value, 8) for value in (error.mse, error.kl, error.linf))
    return Content(
        f"{fit(_NAMES.get(name, name), width)}{numbers}  {'same' if error.top1_equal else 'other'}"
    )


class VerifyView(VerticalScroll, VimScroll, can_focus=True):
    """The proof, or how to get one."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._body = Static(Content(_EMPTY))
        self._proof: Verification | None = None

    def compose(self) -> ComposeResult:
        yield self._body

    def show(self, proof: Verification | None) -> None:
        """Draw ``proof``; None: say how to get a proof."""
        self._proof = proof
        self._draw()

    def copied(self) -> str:
        """The proof, in all its columns."""
        return f"{proof_text(self._proof).plain}\n" if self._proof else ""

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = max(48, self.content_size.width - self.styles.scrollbar_size_vertical)
        self._body.update(proof_text(self._proof, width) if self._proof else Content(_EMPTY))
