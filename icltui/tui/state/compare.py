"""Two runs side by side in words: what was asked differently, and what came of it.

Enters: two sessions, ours and the other. Leaves: rows of a name and two texts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from icltui.storage.sessions import Session
from icltui.tui.state.measured_units import MeasuredUnits
from icltui.values import LANES, Lane, Measurement, Prediction, Row
from icltui.values.recipe import patch_words

_NOTHING = "–"
_LANES: dict[Lane, str] = {"context": "with context", "plain": "query only", "patched": "query + ΔW"}


@dataclass(frozen=True)
class Other:
    """What the present numbers are held against."""

    label: str
    """Such as ``run 2``, or a file's name."""
    session: Session
    measured: MeasuredUnits

    @classmethod
    def of(cls, session: Session, label: str) -> "Other":
        """A session with its numbers ready to be drawn."""
        measured = session.measurement
        return cls(label, session, MeasuredUnits.from_measurement(measured) if measured else MeasuredUnits())


@dataclass(frozen=True)
class Contrast:
    """One line of the comparison."""

    name: str
    ours: str
    theirs: str

    @property
    def is_different(self) -> bool:
        """Whether the texts are not the same."""
        return self.ours != self.theirs


def asked_differently(ours: Session, theirs: Session) -> list[Contrast]:
    """The choices that are not the same."""
    rows = (Contrast(name, a, b) for (name, a), (_, b) in zip(_asked(ours), _asked(theirs), strict=True))
    return [row for row in rows if row.is_different]


def answers(ours: Session, theirs: Session) -> list[Contrast]:
    """What came of both, the same or not; lines that neither has are left out."""
    rows = (Contrast(name, a, b) for (name, a), (_, b) in zip(_came(ours), _came(theirs), strict=True))
    layers = (
        Contrast(f"layer {layer}", _layer(ours.measurement, layer), _layer(theirs.measurement, layer))
        for layer in sorted({*_layers(ours.measurement), *_layers(theirs.measurement)})
    )
    return [row for row in (*rows, *layers) if (row.ours, row.theirs) != (_NOTHING, _NOTHING)]


def _asked(session: Session) -> Iterator[tuple[str, str]]:
    prompt, model, sampling = session.prompt, session.model, session.sampling
    yield "context", prompt.context
    yield "query", prompt.query
    yield "unit", prompt.unit
    yield "special tokens", prompt.bos
    yield "chat template", "on" if prompt.chat else "off"
    yield "positions", prompt.positions
    yield "dynamics", session.dynamics
    yield "reference", session.reference
    yield "precision", session.precision
    yield "layers", session.layers
    yield "patch", patch_words(session.recipe)
    yield "sampling", f"temperature {sampling.temperature:g}, seed {sampling.seed}"
    yield "tokens", str(session.n_tokens)
    yield "model", f"{model.name} {model.dtype} {model.fingerprint[:8]}" if model else _NOTHING


def _came(session: Session) -> Iterator[tuple[str, str]]:
    generation, proof = session.generation, session.verification
    predictions = _by_unit(session.measurement)
    ends = predictions[:1] + predictions[-1:]
    empty, full = ends if ends and session.dynamics == "grow" else (ends[::-1] or (None, None))
    yield "full context says", _top(full)
    yield "no context says", _top(None if session.dynamics == "drop" else empty)
    yield "changes at unit", _NOTHING if session.dynamics == "drop" else _flips(predictions)
    for lane in LANES:
        text = generation.lanes.get(lane) if generation else None
        yield _LANES[lane], text.steps[-1].text if text and text.steps else _NOTHING
        if lane != "context":
            agreement = generation.agreement.get(lane) if generation else None
            yield (
                "  equal to context",
                (f"{agreement.equal}/{agreement.total}" if agreement else _NOTHING),
            )
    for name, what in (("KL without the patch", "plain"), ("KL with the patch", "patched")):
        kl = proof.logits[what].kl if proof else None
        yield name, _NOTHING if kl is None else f"{kl:.3g}"


def _top(prediction: Prediction | None) -> str:
    if prediction is None or not prediction.top:
        return _NOTHING
    first = prediction.top[0]
    return f"{first.token.text!r} {first.probability:.3f}"


def _by_unit(measured: Measurement | None) -> list[Prediction]:
    return sorted(measured.predictions, key=lambda prediction: prediction.unit) if measured else []


def _flips(predictions: Sequence[Prediction]) -> str:
    """The units whose prefix first says something else than the prefix before."""
    tops = [(prediction.unit, prediction.top[0].token) for prediction in predictions if prediction.top]
    flips = [str(unit) for (_, a), (unit, b) in pairwise(tops) if a.id != b.id]
    if not tops:
        return _NOTHING
    return ", ".join(flips[:12]) + (", …" if len(flips) > 12 else "") if flips else "none"


def _layers(measured: Measurement | None) -> tuple[int, ...]:
    return measured.layers if measured else ()


def _layer(measured: Measurement | None, layer: int) -> str:
    """Where the layer is moved the most, and how far it is moved in all."""
    rows = [row for row in measured.rows if row.layer == layer] if measured else []
    moved = [(row.delta_norm, row) for row in rows if row.delta_norm is not None]
    if measured is None or not moved:
        return _NOTHING
    largest, row = max(moved, key=lambda pair: pair[0])
    text = f"‖δ‖ ≤ {largest:.3g} at {row.unit} {_unit(measured, row)!r}"
    total = max(rows, key=lambda row: row.unit).net_patch_norm
    return text if total is None else f"{text} · net {total:.3g}"


def _unit(measured: Measurement, row: Row) -> str:
    return measured.tokens.units[row.unit - 1].text if row.unit else ""
