"""The numbers of a figure: a measure as rows of a picture, and the next token's probability as lines.

A measurement enters; lists indexed by unit leave, NaN where there is no number.
"""

import math
from collections import Counter
from collections.abc import Sequence

from icltui.text.escape import token_text
from icltui.values import Measurement

N_LINES = 6
"""The most lines that a reader can distinguish."""


def heat(measurement: Measurement, measure: str) -> list[list[float]]:
    """One measure, a row for each layer, a column for each unit from 0 on."""
    values = {(row.layer, row.unit): getattr(row, measure) for row in measurement.rows}
    units = range(len(measurement.tokens.units) + 1)
    found = ([values.get((layer, unit)) for unit in units] for layer in measurement.layers)
    return [[math.nan if value is None else value for value in row] for row in found]


def curve_layers(layers: Sequence[int]) -> tuple[int, ...]:
    """At most as many of ``layers`` as a reader can distinguish, evenly spread from the first to the last.

    >>> curve_layers(range(24))
    (0, 5, 9, 14, 18, 23)
    """
    if len(layers) <= N_LINES:
        return tuple(layers)
    return tuple(layers[round(at * (len(layers) - 1) / (N_LINES - 1))] for at in range(N_LINES))


def top_tokens(measurement: Measurement) -> list[tuple[str, list[float], bool]]:
    """Tokens that are the most probable after some unit, most often first: text, probabilities, and whether some
    of these are not known, since only the most probable tokens of each unit are recorded.
    """
    found = {
        prediction.unit: {c.token.id: c for c in prediction.top} for prediction in measurement.predictions
    }
    best = Counter(prediction.top[0].token.id for prediction in measurement.predictions)
    texts = {c.token.id: token_text(c.token.text) for top in found.values() for c in top.values()}
    units, lines = range(len(measurement.tokens.units) + 1), []
    for token, _ in best.most_common(N_LINES):
        tops = [found.get(unit, {}).get(token) for unit in units]
        is_cut = any(unit in found and tops[unit] is None for unit in units)
        lines.append((texts[token], [c.probability if c else math.nan for c in tops], is_cut))
    return lines
