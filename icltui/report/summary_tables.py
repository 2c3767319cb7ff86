"""What a reader asks first: which units moved the model most, which changed its answer, and what else was run.

A measurement, or runs, enter; tables leave.
"""

import heapq
from collections.abc import Iterable

from rich.table import Table

from icltui.report.measure_json_csv import unit_texts
from icltui.report.measure_tables import by_delta, moved, prediction_columns, prediction_texts, table_titles
from icltui.report.measures import PREDICTIONS
from icltui.report.top_token_flips import flips
from icltui.text.escape import token_text
from icltui.text.tables import number, numbers, table, words
from icltui.values import Candidate, Measurement, Run
from icltui.values.recipe import patch_words

N_MOST = 10


def largest_delta_table(measurement: Measurement, layer: int) -> Table:
    """The units with the largest ‖δ‖ at ``layer``, and what follows the query after each."""
    most = heapq.nlargest(N_MOST, moved(measurement, layer), key=by_delta)
    texts, predictions = unit_texts(measurement), {p.unit: p for p in measurement.predictions}
    shown = table_titles("ranking", measurement.dynamics)
    return table(
        [*numbers("#"), words("unit"), *numbers(*shown.values()), *prediction_columns("probability")],
        (
            (
                str(row.unit),
                texts[row.unit],
                *(number(getattr(row, field)) for field in shown),
                *prediction_texts(predictions.get(row.unit), "probability"),
            )
            for row in most
        ),
    )


def flip_table(measurement: Measurement) -> Table:
    """Each unit at which the answer flips, with the most probable next token before and with it."""
    texts, p = unit_texts(measurement), PREDICTIONS["probability"].symbol
    return table(
        [*numbers("#"), words("unit"), words("before"), *numbers(p), words("with it"), *numbers(p)],
        (
            (str(flip.unit), texts[flip.unit], *_answer(flip.before), *_answer(flip.after))
            for flip in flips(measurement)
        ),
    )


def _answer(candidate: Candidate) -> tuple[str, str]:
    return token_text(candidate.token.text), number(candidate.probability)


def run_table(made: Iterable[Run]) -> Table:
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
