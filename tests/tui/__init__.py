"""Tests of the explorer, and the hand-made boards that they show."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from textual.pilot import Pilot

from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Candidate, Dynamics, Prediction, Row, Token, TokenizedPrompt, Unit
from tests.waiting import until

HOSTILE = (
    "[/INST]",
    "[/]",
    "a [/ b",
    "[red]x",
    "\x1b[31mred\x1b[0m",
    "\x9f\x00\x7f",
    "\ud800",
    "漢字かな",
    "שלום \u202eabc",
    "👩\u200d👩\u200d👧",
    "❤\ufe0f",
    "\u0301",
    "line\nbreak\r\n",
    "\t tab ",
    "",
)
"""Token texts that have broken terminals and markup parsers before."""


def tokenized(texts: Sequence[str]) -> TokenizedPrompt:
    """A prompt whose units are ``texts``, one token each."""
    tokens = tuple(Token(id=i, text=text) for i, text in enumerate(texts))
    units = tuple(Unit(index=i + 1, text=text, tokens=1) for i, text in enumerate(texts))
    return TokenizedPrompt(prefix=(), context=tokens, query=(Token(id=99, text="?"),), units=units)


def rows_of(unit: int, layers: Sequence[int]) -> tuple[Row, ...]:
    """The rows of one unit: ``delta_norm`` is ``unit + layer / 100``, the rest in fixed ratios to it."""
    return tuple(_row(unit, layer, unit + layer / 100) for layer in layers)


def _row(unit: int, layer: int, size: float) -> Row:
    if unit == 0:
        return Row(unit=0, layer=layer, z_norm=10.0, learning_rate=0.01, net_patch_norm=0.0)
    return Row(
        unit=unit,
        layer=layer,
        z_norm=10.0,
        learning_rate=0.01,
        net_patch_norm=size / 2,
        delta_norm=size,
        shift_norm=size * 2,
        patch_norm=size / 10,
        relative_patch_norm=size / 1000,
        cumulative_patch_norm=size * 3,
        cosine_previous=-0.5 if unit > 1 else None,
        output_patch_norm=size / 20,
        amplification=1.5,
        implicit_loss=-size,
        half_step_square=size**2 / 2,
        update_cosine_previous=0.25 if unit > 1 else None,
        transfer_previous=0.9 if unit > 1 else None,
        matrix_norms={"gate_proj": size / 12, "up_proj": size / 15},
    )


def prediction_of(unit: int, text: str = " Paris", token: int = 7) -> Prediction:
    """The prediction after a unit, sure at 0.75."""
    top = (Candidate(token=Token(id=token, text=text), probability=0.75),)
    return Prediction(unit=unit, top=top, entropy=0.5, kl_to_full=0.25)


def fill(measured: MeasuredUnits, units: Sequence[int], layers: Sequence[int] = (0, 1, 2, 3)) -> None:
    """Stream ``units`` into ``measured`` as one chunk."""
    rows = tuple(row for unit in units for row in rows_of(unit, layers))
    measured.add(rows, tuple(prediction_of(unit) for unit in units))


def board_of(
    texts: Sequence[str], layers: Sequence[int] = (0, 1, 2, 3), dynamics: Dynamics = "grow"
) -> MeasuredUnits:
    """A measurement with every unit measured."""
    measured = MeasuredUnits(tokenized(texts), dynamics)
    fill(measured, range(len(texts) + 1), layers)
    return measured


async def wait_for(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Let the app run until ``holds()``."""
    await until(holds, partial(pilot.pause, 0.01))
