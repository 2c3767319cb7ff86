"""A peer whose events do not fit together is told of, before any view sees them."""

import pytest
from msgspec.structs import replace

from icltui.api import messages
from icltui.values import HeadIndex, Prediction, RefusedLayer, Row, Unit, UnreadableLayer
from icltui.values.bounds import LAYERS, TOKENS
from icltui.values.errors import EngineError
from icltui.worker.event_check import EventChecker
from tests.curves_and_heads import CURVES, EFFECTS, HEADS, SPLIT
from tests.sessions import A_GENERATION, A_MEASUREMENT, A_MODEL, A_VERIFICATION

LOADED = messages.ModelLoaded(model=A_MODEL)
TOKENIZED = messages.PromptTokenized(tokens=A_MEASUREMENT.tokens)
N_UNITS, N_LAYERS = len(A_MEASUREMENT.tokens.units), A_MODEL.n_layers


def row(unit: int, layer: int) -> Row:
    return Row(unit=unit, layer=layer, z_norm=1.0, learning_rate=1.0, net_patch_norm=None)


def measured(unit: int = 0, layer: int = 0, predicted: int = 0) -> messages.UnitsMeasured:
    prediction = Prediction(
        unit=predicted, top=A_MEASUREMENT.predictions[0].top, entropy=0.0, kl_to_full=None
    )
    return messages.UnitsMeasured(rows=(row(unit, layer),), predictions=(prediction,))


def test_what_an_engine_says_fits() -> None:
    claims = EventChecker()
    for event in (
        *(LOADED, TOKENIZED, measured(N_UNITS, N_LAYERS - 1, N_UNITS)),
        messages.UnitsMeasured(rows=(), predictions=()),
        messages.MeasureEnded(layers=A_MEASUREMENT.layers, path="packed", seconds=1.0),
        messages.GenerationEnded(generation=A_GENERATION),
        messages.VerificationEnded(verification=A_VERIFICATION),
        messages.CurvesEnded(curves=CURVES),
        messages.HeadsEnded(heads=HEADS),
        messages.EffectsMeasured(layers=EFFECTS.layers, plain=2.0, units=EFFECTS.units),
        messages.EffectsEnded(effects=EFFECTS),
    ):
        claims.check(event)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (measured(unit=N_UNITS + 1), "unit"),
        (measured(unit=TOKENS), "unit"),
        (measured(predicted=TOKENS), "unit"),
        (measured(layer=N_LAYERS), "layer"),
        (measured(layer=LAYERS - 1), "layer"),
        (messages.MeasureEnded(layers=(0, N_LAYERS), path="packed", seconds=1.0), "layer"),
        (messages.GenerationEnded(generation=replace(A_GENERATION, layers=(N_LAYERS,))), "layer"),
        (
            messages.VerificationEnded(
                verification=replace(
                    A_VERIFICATION, layers=(replace(A_VERIFICATION.layers[0], layer=N_LAYERS),)
                )
            ),
            "layer",
        ),
        (messages.ModelLoaded(model=replace(A_MODEL, n_layers=0)), "without layers"),
        (
            messages.CurvesEnded(curves=replace(CURVES, smooth=CURVES.smooth[1:])),
            "smooth has 3 numbers for 4",
        ),
        (
            messages.HeadsEnded(heads=replace(HEADS, heads=(replace(HEADS.heads[0], layer=N_LAYERS),))),
            "layer",
        ),
        (
            messages.HeadsEnded(heads=replace(HEADS, induction_heads=(HeadIndex(layer=N_LAYERS, head=0),))),
            "layer",
        ),
        (
            messages.HeadsEnded(heads=replace(HEADS, contributions=(replace(SPLIT, layer=N_LAYERS),))),
            "layer",
        ),
        (
            messages.HeadsEnded(
                heads=replace(HEADS, not_linear=(UnreadableLayer(layer=N_LAYERS, reason="x"),))
            ),
            "layer",
        ),
        (messages.EffectsEnded(effects=replace(EFFECTS, layers=(0, N_LAYERS))), "layer"),
        (messages.EffectsEnded(effects=replace(EFFECTS, random=(0.5,))), "1 controls for 2 layers"),
        (
            messages.EffectsMeasured(layers=(0,), plain=None, units=EFFECTS.units),
            "2 numbers for 1 layers",
        ),
        (
            messages.EffectsMeasured(
                layers=(0, 1), plain=None, units=(replace(EFFECTS.units[0], unit=N_UNITS + 1),)
            ),
            "unit",
        ),
        (
            messages.ModelLoaded(model=replace(A_MODEL, refused=(RefusedLayer(layer=N_LAYERS, reason="x"),))),
            "layer",
        ),
        (
            messages.PromptTokenized(
                tokens=replace(A_MEASUREMENT.tokens, units=(Unit(index=2, text="a", tokens=1),))
            ),
            "not numbered",
        ),
    ],
)
def test_what_no_engine_says_is_one_line(event: messages.Event, words: str) -> None:
    claims = EventChecker()
    claims.check(LOADED)
    claims.check(TOKENIZED)
    with pytest.raises(EngineError, match=words) as caught:
        claims.check(event)
    assert str(caught.value).isprintable()


def test_before_a_model_and_a_prompt_there_is_nothing_to_measure() -> None:
    with pytest.raises(EngineError):
        EventChecker().check(measured(unit=1))
