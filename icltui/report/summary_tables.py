"""What a reader asks first: which units moved the model most, which changed its answer, and what else was run.

A measurement, or runs, enter; tables leave.
"""

import heapq
from collections.abc import Iterable

from rich.table import Table

from icltui.report.measure_data import unit_texts
from icltui.text.escape import token_text
from icltui.text.tables import number, numbers, table, words
from icltui.values import Measurement, Prediction, Run
from icltui.values.recipe import patch_words

N_MOST = 10


def most_moving(measurement: Measurement, layer: int) -> Table:
    """The units with the largest ‖δ‖ at ``layer``, and what follows the query behind each."""
    rows = [row for row in measurement.rows if row.layer == layer and row.delta_norm is not None]
    most = heapq.nlargest(N_MOST, rows, key=lambda row: row.delta_norm or 0.0)
    texts, predictions = unit_texts(measurement), {p.unit: p for p in measurement.predictions}
    columns = [*numbers("#"), words("unit"), *numbers("‖δ‖", "h", "‖ΔW‖", "‖ΔW‖/‖W‖")]
    return table(
        [*columns, words("next token"), *numbers("p")],
        (
            (
                str(row.unit),
                texts[row.unit],
                *map(number, (row.delta_norm, row.learning_rate, row.patch_norm, row.relative_patch_norm)),
                *_answer(predictions.get(row.unit)),
            )
            for row in most
        ),
    )


def flips(measurement: Measurement) -> Table:
    """Each unit whose most probable next token is not that of the unit before.

    Of units left out one at a time: not that of the whole context.
    """
    texts = unit_texts(measurement)
    ordered = sorted(measurement.predictions, key=lambda prediction: prediction.unit)
    whole = ordered[:1] * (len(ordered) - 1)
    pairs = zip(whole if measurement.dynamics == "drop" else ordered, ordered[1:], strict=False)
    return table(
        [*numbers("#"), words("unit"), words("before"), *numbers("p"), words("with it"), *numbers("p")],
        (
            (str(after.unit), texts[after.unit], *_answer(before), *_answer(after))
            for before, after in pairs
            if before.top[0].token.id != after.top[0].token.id
        ),
    )


def runs(made: Iterable[Run]) -> Table:
    """Each run with the one that it came from, what was asked and the user's line about it."""
    return table(
        [*numbers("#", "from"), words("query"), words("patch"), words("note")],
        (
            (
                str(run.number),
                "·" if run.parent is None else str(run.parent),
                token_text(run.session.prompt.query),
                patch_words(run.session.recipe),
                run.note,
            )
            for run in made
        ),
    )


def _answer(prediction: Prediction | None) -> tuple[str, str]:
    if prediction is None:
        return "", number(None)
    best = prediction.top[0]
    return token_text(best.token.text), number(best.probability)
