"""Two sessions side by side in words: which settings differ, and what came of both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from icltui.report.measures import MEASURES
from icltui.report.top_token_flips import flips
from icltui.text.tables import number
from icltui.values import LANE_TITLES, LANES, Measurement, Prediction, Session
from icltui.values.recipe import patch_words

_NOTHING = "–"
_MOST_FLIPS = 12


@dataclass(frozen=True)
class ComparedLine:
    """One line of the comparison."""

    name: str
    ours: str
    theirs: str

    @property
    def is_different(self) -> bool:
        """Whether the texts are not the same."""
        return self.ours != self.theirs


def differing_settings(ours: Session, theirs: Session) -> list[ComparedLine]:
    """The settings that are not the same."""
    return [line for line in _lines(_settings(ours), _settings(theirs)) if line.is_different]


def compared_results(ours: Session, theirs: Session) -> list[ComparedLine]:
    """What came of both, the same or not; lines that neither has are left out."""
    layers = sorted({layer for s in (ours, theirs) if s.measurement for layer in s.measurement.layers})
    lines = _lines(_results(ours, layers), _results(theirs, layers))
    return [line for line in lines if (line.ours, line.theirs) != (_NOTHING, _NOTHING)]


def _lines(ours: Iterable[tuple[str, str]], theirs: Iterable[tuple[str, str]]) -> Iterator[ComparedLine]:
    return (ComparedLine(name, a, b) for (name, a), (_, b) in zip(ours, theirs, strict=True))


def _settings(session: Session) -> Iterator[tuple[str, str]]:
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


def _results(session: Session, layers: Iterable[int]) -> Iterator[tuple[str, str]]:
    measured, generation, proof = session.measurement, session.generation, session.verification
    predictions = sorted(measured.predictions, key=lambda prediction: prediction.unit) if measured else []
    first, last = (predictions[0], predictions[-1]) if predictions else (None, None)
    # Under shrink and drop unit 0 is the full context; under drop no unit is the empty one.
    empty, full = (first, last) if session.dynamics == "grow" else (last, first)
    is_drop = session.dynamics == "drop"
    yield "full context says", _answer(full)
    yield "no context says", _answer(None if is_drop else empty)
    yield "changes at unit", _flips(measured) if measured and predictions and not is_drop else _NOTHING
    for lane in LANES:
        text = generation.lanes.get(lane) if generation else None
        title = LANE_TITLES[lane]
        yield title[0].lower() + title[1:], text.steps[-1].text if text and text.steps else _NOTHING
        if lane != "context":
            agreement = generation.agreement.get(lane) if generation else None
            yield "  equal to context", f"{agreement.equal}/{agreement.total}" if agreement else _NOTHING
    for name, logits in (("KL without the patch", "plain"), ("KL with the patch", "patched")):
        kl = proof.logits[logits].kl if proof else None
        yield name, _NOTHING if kl is None else number(kl)
    for layer in layers:
        yield f"layer {layer}", _layer(measured, layer) if measured else _NOTHING


def _answer(prediction: Prediction | None) -> str:
    if prediction is None or not prediction.top:
        return _NOTHING
    best = prediction.top[0]
    return f"{best.token.text!r} {best.probability:.3f}"


def _flips(measured: Measurement) -> str:
    """The units whose prefix first says something else than the prefix before."""
    units = [str(flip.unit) for flip in flips(measured)]
    return ", ".join(units[:_MOST_FLIPS]) + (", …" if len(units) > _MOST_FLIPS else "") if units else "none"


def _layer(measured: Measurement, layer: int) -> str:
    """Where the layer is moved the most, and how far it is moved in all."""
    rows = [row for row in measured.rows if row.layer == layer]
    moved = [row for row in rows if row.delta_norm is not None]
    if not moved:
        return _NOTHING
    row = max(moved, key=lambda row: row.delta_norm or 0.0)
    unit = measured.tokens.units[row.unit - 1].text if row.unit else ""
    text = f"{MEASURES['delta_norm'].symbol} ≤ {number(row.delta_norm)} at {row.unit} {unit!r}"
    net = max(rows, key=lambda row: row.unit).net_patch_norm
    return text if net is None else f"{text} · {MEASURES['net_patch_norm'].short} {number(net)}"
