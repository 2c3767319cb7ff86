"""What a compilation has tried, in words: each candidate's name at its step, and a line for each step."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len

from icltui.text.units import short
from icltui.tui.draw.safe_text import display, number
from icltui.values import ChoicePoint
from icltui.values.prompt import layers_text

_SIGNS = {"epsilon": "ε", "ridge": "ρ", "alpha": "α"}
"""The steps whose candidate is one number."""
_PARTS = {"both": "ΔW and Δb", "weights": "ΔW alone", "shift": "Δb alone"}


def name_of(point: ChoicePoint) -> str:
    """What is varied at the candidate's step: ``ε 0.01``, ``layers 2-5``, ``ΔW alone``."""
    if point.step in _SIGNS:
        return f"{_SIGNS[point.step]} {getattr(point, point.step):g}"
    if point.step == "layers":
        return f"layers {_layers(point)}"
    if point.step == "rank":
        return _rank(point)
    if point.step == "components":
        return _PARTS[point.components]
    return display(point.metric if point.step == "metric" else point.step)


def names_of(points: Sequence[ChoicePoint]) -> list[str]:
    """The candidates' names, for the x axis."""
    return [name_of(point) for point in points]


def place_of(point: ChoicePoint) -> str:
    """All of a candidate: ``ordinary ε 0.01, ρ 0.01, rank 8, layers 0-5, ΔW and Δb, α 1``."""
    metric = f"{point.metric} ε {point.epsilon:g}" if point.metric == "ordinary" else display(point.metric)
    parts = f"layers {_layers(point)}, {_PARTS[point.components]}"
    return f"{metric}, ρ {point.ridge:g}, {_rank(point)}, {parts}, α {point.alpha:g}"


def _rank(point: ChoicePoint) -> str:
    return "any rank" if point.rank is None else f"rank {point.rank}"


def _layers(point: ChoicePoint) -> str:
    return layers_text(point.layers, max(point.layers, default=0) + 2)


def choice_lines(points: Sequence[ChoicePoint], width: int) -> Iterator[str]:
    """A line for each step: its candidates with their R, the chosen one marked; candidates without room are counted."""
    for step, group in groupby(points, key=lambda point: point.step):
        line, n_left = f"{display(step)}:", 0
        for point in group:
            r = number(point.r_median, 6).strip()
            name = name_of(point).removeprefix(step)  # the line begins with it
            text = f" {'▸' if point.chosen else ''}{f'{name} R {r}'.strip()} ·"
            if n_left or cell_len(line + text) > width - 10:
                n_left += 1
            else:
                line += text
        more = f" and {short(n_left)} more" if n_left else ""
        yield line.removesuffix(" ·") + more
