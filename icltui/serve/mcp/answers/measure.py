"""What each unit of a context does, for an agent: the units that move the model most, against noise and a proof."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import fmean, median

import msgspec

from icltui.api.messages import Measure
from icltui.report.top_token_flips import Flip, flips
from icltui.serve.mcp.answers.answer import (
    AgentAnswer,
    Asked,
    Brief,
    Compose,
    Cut,
    KeptTokens,
    kept_tokens,
    name_of,
    rounded,
    words,
)
from icltui.serve.mcp.answers.proof import ProofControl, control_words, proof_control
from icltui.values import Measurement, Prediction, Row
from icltui.values.errors import EngineError
from icltui.values.prompt import layers_text

EVIDENCE = (
    "‖δ‖ and ‖ΔW‖ say how far a unit moves the model, not that the move means something: hold them against the noise, "
    "and note that under grow a unit's number depends on those before it. By construction: ΔW z = W δz holds for any "
    "vectors, so that a size alone proves nothing. Evidence: where the next token flips, and that a random patch of "
    "equal norms and the shuffled context's do not reproduce the contextual logits."
)


class UnitBrief(Brief, frozen=True):
    """One unit of the context."""

    unit: int
    text: str
    share: float | None
    """Its part of the sum of ‖δ‖ over the units, mean over the layers."""
    layer: int
    """The layer where that part is largest."""
    delta_norm: float | None
    """‖δ‖ there."""
    delta_noise: float | None
    """What rounding alone makes of it there; null in float32."""
    relative_patch_norm: float | None
    """‖ΔW‖ / ‖W‖ there."""


class LayerBrief(Brief, frozen=True):
    """All units at one layer."""

    layer: int
    strongest_unit: int
    delta_norm: float | None
    """‖δ‖ of that unit."""
    delta_noise: float | None
    """What rounding alone makes of ‖δ‖, the median over the units; null in float32."""
    cumulative_patch_norm: float | None
    """The sum of ‖ΔW‖ over the units; null under drop."""
    net_patch_norm: float | None
    """‖ΔW‖ of them all together; null under drop."""


class FlipBrief(Brief, frozen=True):
    """A unit at which the most probable next token becomes another."""

    unit: int
    text: str
    before: str
    after: str
    probability_before: float | None
    probability_after: float | None


class NextToken(Brief, frozen=True):
    """The most probable next token."""

    text: str
    probability: float | None
    kl_to_full: float | None
    """KL(full context ‖ this) of the distribution, in nats."""


class MeasureBrief(Brief, frozen=True):
    """What the units of a context do."""

    model: str
    n_units: int
    layers: str
    dynamics: str
    reference: str
    path: str
    top_units: tuple[UnitBrief, ...]
    by_layer: tuple[LayerBrief, ...]
    flips: tuple[FlipBrief, ...]
    next_at_first: NextToken | None = None
    """At unit 0: without the context under grow, with all of it else."""
    next_at_last: NextToken | None = None
    """At the last unit."""
    rows: tuple[dict[str, float | int | dict[str, float | None] | None], ...] = ()
    """Every measure of the units that were asked for, at each layer."""


class MeasureControls(Brief, frozen=True):
    """What ‖δ‖ is to be held against."""

    n_rows: int
    """Units times layers."""
    n_rows_of_noise: int
    """Of them, those whose ‖δ‖ is no more than rounding."""
    noise: str
    kept: KeptTokens
    verification: ProofControl
    """Of the context's patch on this prompt, at these layers."""


async def measure(asked: Asked) -> Compose:
    """The measurement, and a verification of the same prompt."""
    request, measurement = asked.request, (await asked.ask(asked.request)).measurement
    if measurement is None or not isinstance(request, Measure):
        raise EngineError("the engine ended without a measurement: ask again")
    control = await proof_control(asked, request.prompt, request.layers)

    def compose(cut: Cut) -> AgentAnswer[MeasureBrief, MeasureControls]:
        brief = _brief(asked, measurement, cut)
        rows = [row for row in measurement.rows if row.unit]
        tokens = measurement.tokens
        controls = MeasureControls(
            n_rows=len(rows),
            n_rows_of_noise=sum(row.is_noise for row in rows),
            noise=_noise_words(rows),
            kept=kept_tokens(asked.model, tokens.prefix, tokens.ids),
            verification=control,
        )
        return AgentAnswer(
            summary=f"{_words(brief, controls)} {control_words(control)}",
            result=brief,
            controls=controls,
            evidence=EVIDENCE,
            left_out=cut.left_out,
        )

    return compose


def _brief(asked: Asked, measurement: Measurement, cut: Cut) -> MeasureBrief:
    predictions = {prediction.unit: prediction for prediction in measurement.predictions}
    texts = {unit.index: unit.text for unit in measurement.tokens.units}
    wanted = [row for row in measurement.rows if row.unit in asked.units]
    return MeasureBrief(
        model=name_of(asked.model),
        n_units=len(texts),
        layers=layers_text(measurement.layers, asked.model.n_layers),
        dynamics=measurement.dynamics,
        reference=measurement.reference,
        path=measurement.path,
        top_units=cut.rows("top_units", _units(measurement, texts, cut)),
        by_layer=cut.rows("by_layer", _layers(measurement)),
        flips=cut.rows("flips", (_flip(flip, texts, cut) for flip in flips(measurement))),
        next_at_first=_next(predictions.get(0)),
        next_at_last=_next(predictions.get(len(texts))),
        rows=tuple(map(_row, wanted)),
    )


def _by_layer(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """The rows of the units that there are, by layer."""
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.unit:
            found[row.layer].append(row)
    return found


def _units(measurement: Measurement, texts: dict[int, str], cut: Cut) -> list[UnitBrief]:
    """The units by their part of all movement, the largest first."""
    parts: defaultdict[int, list[tuple[float, Row]]] = defaultdict(list)
    for rows in _by_layer(measurement.rows).values():
        total = sum(row.delta_norm or 0.0 for row in rows)
        for row in rows:
            parts[row.unit].append(((row.delta_norm or 0.0) / total if total else 0.0, row))
    shares = {unit: fmean(share for share, _ in found) for unit, found in parts.items()}
    return [
        _unit(max(parts[unit], key=lambda part: part[0])[1], shares[unit], cut.text(texts.get(unit, "")))
        for unit in sorted(shares, key=lambda unit: -shares[unit])
    ]


def _unit(row: Row, share: float, text: str) -> UnitBrief:
    return UnitBrief(
        unit=row.unit,
        text=text,
        share=rounded(share),
        layer=row.layer,
        delta_norm=rounded(row.delta_norm),
        delta_noise=rounded(row.delta_noise),
        relative_patch_norm=rounded(row.relative_patch_norm),
    )


def _layers(measurement: Measurement) -> Iterator[LayerBrief]:
    for layer, rows in sorted(_by_layer(measurement.rows).items()):
        top, last = max(rows, key=lambda row: row.delta_norm or 0.0), max(rows, key=lambda row: row.unit)
        noises = [row.delta_noise for row in rows if row.delta_noise is not None]
        yield LayerBrief(
            layer=layer,
            strongest_unit=top.unit,
            delta_norm=rounded(top.delta_norm),
            delta_noise=rounded(median(noises)) if noises else None,
            cumulative_patch_norm=rounded(last.cumulative_patch_norm),
            net_patch_norm=rounded(last.net_patch_norm),
        )


def _flip(flip: Flip, texts: dict[int, str], cut: Cut) -> FlipBrief:
    return FlipBrief(
        unit=flip.unit,
        text=cut.text(texts.get(flip.unit, "")),
        before=flip.before.token.text,
        after=flip.after.token.text,
        probability_before=rounded(flip.before.probability),
        probability_after=rounded(flip.after.probability),
    )


def _next(prediction: Prediction | None) -> NextToken | None:
    if prediction is None or not prediction.top:
        return None
    top = prediction.top[0]
    return NextToken(
        text=top.token.text,
        probability=rounded(top.probability),
        kl_to_full=rounded(prediction.kl_to_full),
    )


def _row(row: Row) -> dict[str, float | int | dict[str, float | None] | None]:
    values = msgspec.structs.asdict(row)
    norms = {name: rounded(norm) for name, norm in row.matrix_norms.items()}
    return {
        **{name: rounded(value) if isinstance(value, float) else value for name, value in values.items()},
        "matrix_norms": norms,
    }


def _noise_words(rows: list[Row]) -> str:
    if any(row.delta_noise is not None for row in rows):
        return "‖δ‖ of rounding alone is beside each row: a ‖δ‖ no larger says nothing"
    return "computed in float32, where the noise of ‖δ‖ is not estimated: see the noise floor of the verification"


def _words(brief: MeasureBrief, controls: MeasureControls) -> str:
    if not brief.top_units:
        return "The context is empty, so that nothing moves the model."
    top, n_noise = brief.top_units[0], controls.n_rows_of_noise
    most = f"unit {top.unit} {top.text!r} moves the model most: {words(top.share)} of all ‖δ‖"
    said = [f"Of {brief.n_units} units, {most}."]
    if n_noise == controls.n_rows:
        said = [f"None of {brief.n_units} units moves the model by more than rounding does."]
    elif n_noise:
        said.append(f"{n_noise} of {controls.n_rows} ‖δ‖ are no more than rounding.")
    said += filter(None, (_sentence(controls.kept.warning), _next_words(brief)))
    return " ".join(said)


def _sentence(text: str) -> str:
    return text and f"{text[0].upper()}{text[1:].rstrip('.')}."


def _next_words(brief: MeasureBrief) -> str:
    first, last = brief.next_at_first, brief.next_at_last
    if first is None or last is None:
        return ""
    grows = brief.dynamics == "grow"
    at_first, at_last = (
        ("without the context", "with it")
        if grows
        else ("with the whole context", f"at the last unit, as {brief.dynamics} leaves the context there")
    )
    return (
        f"The next token is {first.text!r} ({words(first.probability)}) {at_first}, {last.text!r} "
        f"({words(last.probability)}) {at_last}."
    )
