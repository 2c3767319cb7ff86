"""The calibration and the unseen queries of a request, none in both.

Enters: a loaded model and a request. Leaves: :class:`RequestQueries`: texts, and the query that serves as the prompt's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from icltui.api.messages import Compile, QueryWritten
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.calibration_queries import calibration_queries
from icltui.engine.models.background_thread import Send
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import BadInput

FEWEST = 2
"""Calibration queries: one cannot be left out of itself."""


@dataclass(frozen=True)
class RequestQueries:
    """What a patch is made from and tested on."""

    calibration: tuple[str, ...]
    unseen: tuple[str, ...]
    prompt: str
    """The prompt's own query, else the first unseen or calibration query."""
    notes: tuple[str, ...]
    """Sentences on what was left out."""


def check_queries(request: Compile) -> None:
    """Refuse, before any work, a request without queries to be made from.

    Raises:
        BadInput: no context, too few queries of the user's, or one that is the context itself.
    """
    if not request.prompt.context.strip():
        raise BadInput("the context is empty, so there is nothing to put into weights: give -c TEXT or @FILE")
    if request.calibrate != "user":
        return
    queries, context = request.recipe.queries, request.prompt.context.strip()
    if same := next((query for query in queries if query.strip() == context), None):
        raise BadInput(
            f"the query {same.strip()[:40]!r} is the context itself, which it asks nothing of: leave it out"
        )
    if (n := len(dict.fromkeys(queries))) < FEWEST:
        raise BadInput(
            f"{n} calibration {'query' if n == 1 else 'queries'}, at least {FEWEST} are needed, as each is left out in "
            "turn: give more in --queries, or let the model write them: --calibrate self"
        )


def queries_of(
    loaded: LoadedModel, request: Compile, on_progress: ProgressCallback, send: Send
) -> RequestQueries:
    """The queries that ``request`` asks for; those that the model writes are sent as they come.

    Raises:
        BadInput: too few usable queries.
    """
    given, notes = request.recipe.queries, list[str]()
    own = request.prompt.query
    if request.calibrate != "user":
        made = calibration_queries(
            loaded,
            request.prompt,
            request.calibrate,
            request.n_queries,
            request.seed,
            lambda text, number, wanted: send(QueryWritten(query=text, done=number, total=wanted)),
            on_progress,
            [own, *request.holdout] if own else request.holdout,
        )
        given, notes = made.queries, list(made.notes)
    calibration = tuple(dict.fromkeys(given))
    unseen = _without(dict.fromkeys((*([own] if own else []), *request.holdout)), calibration, notes)
    if len(calibration) < FEWEST:
        raise BadInput(
            f"{len(calibration)} calibration query was made of the context, at least {FEWEST} are needed, as each is "
            "left out in turn: give --queries, or another --calibrate"
        )
    return RequestQueries(calibration, unseen, own or (*unseen, *calibration)[0], tuple(notes))


def _without(unseen: dict[str, None], calibration: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """The unseen queries that the patch is not made from, with a note where some are."""
    kept = tuple(text for text in unseen if text not in calibration)
    if n := len(unseen) - len(kept):
        notes.append(
            f"{n} of the unseen queries {'is a calibration query' if n == 1 else 'are calibration queries'} too: "
            "left out, as it tests nothing"
        )
    return kept
