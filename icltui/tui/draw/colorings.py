"""What the context's own text may be coloured by: one number for each unit, at one layer or behind all of them.

A board enters; numbers, what they mean, and what is missing where there are none leave.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from icltui.report.measures import MEASURES
from icltui.tui.state.measurements import Board, Bounds
from icltui.values import Dynamics

_KL: dict[Dynamics, str] = {
    "grow": "KL(full context ‖ up to this unit) of the next token, in nats",
    "shrink": "KL(full context ‖ what is left) of the next token, in nats",
    "drop": "KL(full context ‖ without this unit) of the next token, in nats",
}
_KL_STEP: dict[Dynamics, str] = {
    "grow": "how far this unit changed that KL: |KL_i − KL_{i−1}|",
    "shrink": "how far its removal changed that KL: |KL_i − KL_{i−1}|",
    "drop": "how far leaving it out changed that KL, which is 0 with all units",
}


@dataclass(frozen=True)
class Shade:
    """One number for each unit."""

    name: str
    title: str
    log: bool
    """Whether a log scale makes sense."""
    is_by_layer: bool
    value: Callable[[Board, int, int], float | None]
    """Of a unit, at a layer."""
    meaning: Callable[[Board], str]
    """In words; empty where the board has no such number."""
    need: Callable[[Board], str]
    """Why the board has no such number and how to get it; empty where it has."""

    def bounds(self, board: Board, layer: int, *, positive: bool) -> Bounds | None:
        """The least and greatest finite number; only positive ones, if a log scale asks."""
        found = (self.value(board, unit, layer) for unit in board.measured)
        values = [v for v in found if v is not None and math.isfinite(v) and (v > 0 or not positive)]
        return (min(values), max(values)) if values else None


def _of_measure(name: str, title: str = "") -> Shade:
    measure = MEASURES[name]
    return Shade(
        name=name,
        title=title or measure.title,
        log=measure.log,
        is_by_layer=True,
        value=lambda board, unit, layer: board.value(name, unit, layer),
        meaning=lambda board: measure.meaning(board.dynamics)[0],
        need=lambda _board: "",
    )


def _drop(board: Board, unit: int, layer: int) -> float | None:
    return board.value("delta_norm", unit, layer) if board.dynamics == "drop" else None


def _kl(board: Board, unit: int, _layer: int) -> float | None:
    prediction = board.prediction(unit)
    return prediction.kl_to_full if prediction else None


def _kl_step(board: Board, unit: int, layer: int) -> float | None:
    """Under *drop* every unit is held against the full context, which unit 0 is."""
    if unit == 0:
        return None
    before, after = _kl(board, 0 if board.dynamics == "drop" else unit - 1, layer), _kl(board, unit, layer)
    return None if before is None or after is None else abs(after - before)


def _of_prediction(name: str, title: str, words: dict[Dynamics, str]) -> Shade:
    return Shade(
        name=name,
        title=title,
        log=True,
        is_by_layer=False,
        value=_kl if name == "kl" else _kl_step,
        meaning=lambda board: words[board.dynamics],
        need=_need_predictions,
    )


def _need_predictions(board: Board) -> str:
    return "this run took no next tokens, which would cost a pass for each unit" if board.is_mute else ""


def _need_drop(board: Board) -> str:
    return "" if board.dynamics == "drop" else f"these numbers are {board.dynamics}: D until drop, then ^r"


_ALL = (
    _of_measure("delta_norm"),
    _of_measure("relative_patch_norm"),
    _of_measure("learning_rate"),
    Shade(
        name="drop_one",
        title="drop-one",
        log=True,
        is_by_layer=True,
        value=_drop,
        meaning=lambda board: MEASURES["delta_norm"].meaning(board.dynamics)[0],
        need=_need_drop,
    ),
    _of_prediction("kl", "KL", _KL),
    _of_prediction("kl_step", "|ΔKL|", _KL_STEP),
)

SHADES: dict[str, Shade] = {shade.name: shade for shade in _ALL}
"""Every shade by name, in the order in which a key cycles through them."""
