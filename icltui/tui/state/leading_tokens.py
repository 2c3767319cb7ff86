"""The next token as the context comes in: which tokens lead, and where the answer flips.

A measurement enters; the flips, and the probabilities of the leading tokens, leave.
"""

from dataclasses import dataclass

from icltui.report.top_token_flips import Flip, flip_at
from icltui.tui.state.measurement_so_far import MeasuredUnits

N_LEADING = 5
"""The most lines that a reader can follow."""


@dataclass(frozen=True)
class Leading:
    """One next token, and its probability at each unit; None where it is not among the recorded ones."""

    text: str
    probabilities: list[float | None]


def flips(measured: MeasuredUnits) -> tuple[Flip, ...]:
    """All there are so far, by unit; where units are dropped one at a time, against the full context's answer."""
    found = (flip_at(measured.prediction, unit, measured.dynamics) for unit in range(1, measured.n_units))
    return tuple(flip for flip in found if flip)


def leading(measured: MeasuredUnits, n: int = N_LEADING) -> tuple[Leading, ...]:
    """The tokens that were most probable at the most units; after them those that came nearest to it."""
    texts: dict[int, str] = {}
    series: dict[int, list[float | None]] = {}
    n_firsts: dict[int, int] = {}
    for unit in range(measured.n_units):
        prediction = measured.prediction(unit)
        for rank, candidate in enumerate(prediction.top if prediction else ()):
            token = candidate.token
            texts[token.id] = token.text
            series.setdefault(token.id, [None] * measured.n_units)[unit] = candidate.probability
            n_firsts[token.id] = n_firsts.get(token.id, 0) + (rank == 0)
    peaks = {token: max(p for p in series[token] if p is not None) for token in series}
    order = sorted(series, key=lambda token: (-n_firsts[token], -peaks[token]))
    return tuple(Leading(texts[token], series[token]) for token in order[:n])
