"""Consistency of a session: what no run of the program could have made is refused, so that no view need expect it.

Enters: a session, read or about to be written. Leaves: nothing, or a :class:`~icltui.values.errors.SessionError`.
"""

from collections import Counter
from collections.abc import Sequence

from icltui.api.option_table import check_options
from icltui.storage.inspection_validation import problem_of_curves, problem_of_effects, problem_of_heads
from icltui.values import Exam, Generation, Measurement, Pairs, Session
from icltui.values.bounds import LAYERS, RUNS, TOKENS
from icltui.values.errors import BadInput, SessionError
from icltui.values.prompt import check_size, resolve_layers


def check_consistent(session: Session) -> None:
    """Refuse a session whose parts are not of one run, or whose runs are not.

    Raises:
        SessionError: naming what does not fit.
    """
    parts = [("", session), *((f"run {run.number} ", run.session) for run in session.runs)]
    for name, part in parts:
        if problem := _problem(part) or (_problem_of_runs(session) if part is session else None):
            raise SessionError(f"{name}does not fit together: {problem}: correct it or restore a copy")


def _problem(session: Session) -> str | None:
    """What does not fit in a session, its runs aside."""
    n_layers = session.model.n_layers if session.model else LAYERS
    return (
        _problem_of_counts(session, n_layers)
        or _problem_of_patch(session)
        or _problem_of_chosen_layers(session, n_layers)
    )


def _problem_of_chosen_layers(session: Session, n_layers: int) -> str | None:
    if session.layers.strip().lower() in ("all", "none", "last"):
        return None
    refused = {layer.layer: layer.reason for layer in session.model.refused} if session.model else {}
    try:
        resolve_layers(session.layers, n_layers, refused)
    except (BadInput, ValueError) as error:
        return str(error)
    return None


def _problem_of_runs(session: Session) -> str | None:
    numbers = [run.number for run in session.runs]
    if numbers != sorted({*numbers}) or not all(1 <= number <= RUNS for number in numbers):
        return f"the runs are numbered {numbers}"
    for run in session.runs:
        if run.parent is not None and not 1 <= run.parent < run.number:
            return f"run {run.number} comes from run {run.parent}"
        if run.session.runs or run.session.run is not None:
            return f"run {run.number} holds runs of its own"
        if run.session.format != session.format:
            return f"run {run.number} has format {run.session.format}, the session {session.format}"
    if session.run is not None and session.run not in numbers:
        return f"its present run is {session.run}, which it does not hold"
    return None


def _problem_of_counts(session: Session, n_layers: int) -> str | None:
    if not 1 <= session.n_tokens <= TOKENS:
        return f"n_tokens is {session.n_tokens}"
    if not 1 <= n_layers <= LAYERS:
        return f"the model has {n_layers} layers"
    if not session.prompt.unit:
        return "the prompt's unit is empty"
    refused = [layer.layer for layer in session.model.refused] if session.model else []
    if not all(0 <= layer < n_layers for layer in refused):
        return f"layers {refused} were refused of a model of {n_layers}"
    if len({*refused}) < len(refused) or len(refused) == n_layers:
        return f"layers {refused} were refused, each once and not all of {n_layers}"
    for done, layers in _layers_worked_on(session).items():
        if list(layers) != sorted({*layers} - {*refused}) or not all(
            0 <= layer < n_layers for layer in layers
        ):
            without = f" without layers {refused}" if refused else ""
            return f"layers {list(layers)} were {done} on a model of {n_layers}{without}"
    if session.compilation:
        tried = {layer for point in session.compilation.leave_one_out.curve for layer in point.layers}
        if tried and max(tried) >= n_layers:
            return f"layer {max(tried)} was tried of a model of {n_layers}"
    if session.exam and (problem := _problem_of_exam(session.exam)):
        return problem
    if session.curves and (problem := problem_of_curves(session.curves)):
        return problem
    if session.heads and (problem := problem_of_heads(session.heads, n_layers)):
        return problem
    if session.effects and (problem := problem_of_effects(session.effects, n_layers)):
        return problem
    if session.generation and not session.generation.agreement.keys() <= session.generation.lanes.keys():
        return "a lane is compared that was not generated"
    if session.verification and not {"plain", "patched"} <= session.verification.logits.keys():
        return "the proof lacks the plain or the patched logits"
    return _problem_of_measurement(session.measurement) if session.measurement else None


def _problem_of_patch(session: Session) -> str | None:
    """The part that no model can read, or by which no patch can be made or text drawn."""
    prompt, recipe = session.prompt, session.recipe
    made: list[Session | Generation] = [session, *([session.generation] if session.generation else [])]
    try:
        check_size(prompt.context, "the context")
        check_size(prompt.query, "the query")
        check_size(recipe.other_context, "the other context")
        check_size("".join((*recipe.queries, *session.holdout)), "the text of all queries")
        for one in made:
            check_options(one.recipe)
            check_options(one.sampling)
            if not all(one.holdout):
                return "a held-out query is empty"
        if session.compilation is not None:
            check_options(session.compilation.recipe)
            check_size(session.compilation.query, "the query of the compiled patch")
    except BadInput as error:
        return str(error)
    return None


def _layers_worked_on(session: Session) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    if session.measurement:
        found["measured"] = session.measurement.layers
    if session.generation:
        found["patched"] = session.generation.layers
    if session.compilation:
        found["compiled"] = session.compilation.chosen.layers
    if session.exam and session.exam.layers:
        found["examined"] = session.exam.layers
    if session.verification:
        found["proved"] = [check.layer for check in session.verification.layers]
    return found


def _problem_of_exam(exam: Exam) -> str | None:
    n_queries, rows = len(exam.queries), Counter(row.patch for row in exam.rows)
    for row in exam.rows:
        if rows[row.patch] > 1:
            return f"the exam has {rows[row.patch]} rows of the patch {row.patch}"
        if row.queries and len(row.queries) != n_queries:
            return f"the exam's patch {row.patch} answers {len(row.queries)} of {n_queries} queries"
    return None


def _problem_of_measurement(measured: Measurement) -> str | None:
    units = range(len(measured.tokens.units) + 1)
    cells = Counter((row.unit, row.layer) for row in measured.rows)
    if [unit.index for unit in measured.tokens.units] != list(units[1:]):
        return "the units are not numbered 1, 2, 3, …"
    for unit, layer in cells:
        if unit not in units or layer not in measured.layers or cells[unit, layer] > 1:
            return f"a row for unit {unit} at layer {layer}"
    predicted = Counter(prediction.unit for prediction in measured.predictions)
    for prediction in measured.predictions:
        if prediction.unit not in units or not prediction.top or predicted[prediction.unit] > 1:
            return f"a prediction for unit {prediction.unit} of {len(prediction.top)} tokens"
    compared = [pairs.layer for pairs in measured.pairs]
    if len({*compared} & {*measured.layers}) < len(compared):
        return f"units were compared at layers {compared}, of {list(measured.layers)}"
    if not all(_is_square(pairs, len(measured.tokens.units)) for pairs in measured.pairs):
        return f"units were compared that are not the {len(measured.tokens.units)} of the context"
    return None


def _is_square(pairs: Pairs, n_units: int) -> bool:
    return all(
        len(matrix) == n_units and all(len(row) == n_units for row in matrix)
        for matrix in (pairs.cosine, pairs.transfer)
    )
