"""The queries that a patch is calibrated on, where the user gives none.

Enters: a loaded model, a prompt whose context counts, and a kind. Leaves: :class:`CalibrationQueries`: texts, as a
recipe keeps them, so that a session makes the same patch again.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.repeat_context import repeat_context
from icltui.engine.compile.self_study import SelfStudy
from icltui.engine.compile.study_file import open_study
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

N_QUERIES = 16
"""Queries, where the context gives as many."""
MOST_QUERIES = 256

OnQuery = Callable[[str, int, int], object]
"""Called with each query, its number from 1, and how many are wanted at most; may raise to stop."""


@dataclass(frozen=True)
class CalibrationQueries:
    """Texts after the context, each without it, and what there is to tell of them."""

    queries: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences for the log, such as how many were dropped and why."""


def ignore_query(text: str, number: int, wanted: int) -> None:
    """The default where nobody reads along."""


@torch.inference_mode()
def calibration_queries(
    loaded: LoadedModel,
    prompt: Prompt,
    kind: Literal["repeat", "self"],
    n: int = N_QUERIES,
    seed: int = 0,
    on_query: OnQuery = ignore_query,
    on_progress: ProgressCallback = ignore_progress,
) -> CalibrationQueries:
    """Up to ``n`` queries after the prompt's context; the prompt's own query does not count.

    ``on_progress`` is called before each pass through the model, and either callback may raise to stop. Of a
    self-study that is stopped, what was written is kept, and the next with the same arguments goes on from there.

    Raises:
        BadInput: no context, one that leaves no room, or one that gives no usable query.
    """
    if not prompt.context.strip():
        raise BadInput("there is no context to make queries from: give --context")
    if not 1 <= n <= MOST_QUERIES:
        raise BadInput(f"{n:,} calibration queries: ask for 1 to {MOST_QUERIES}")
    reader = ContextReader(loaded, prompt)
    if kind == "repeat":
        queries = _told(repeat_context(reader, n, on_progress), n, on_query)
        if not queries:
            raise BadInput(
                "no piece of the context can be a query: give --queries, or let the model write some: --calibrate self"
            )
        return CalibrationQueries(queries)
    file = open_study(loaded, reader.before(""), prompt.chat, seed)
    study = SelfStudy(reader, seed, file, on_progress)
    queries, dropped = _told(study.queries(n), n, on_query), counts(study.dropped)
    if not queries:
        raise BadInput(
            f"the model wrote no usable query in the context ({dropped}): give --queries, try another --seed, or use "
            "--calibrate repeat"
        )
    notes = ["the file of this self-study was damaged, so it was begun anew"] if file.is_damaged else []
    notes += [f"the model wrote {len(queries)} of {n} queries"] if len(queries) < n else []
    notes += [f"dropped of what the model wrote: {dropped}"] if dropped else []
    return CalibrationQueries(queries, tuple(notes))


def counts(dropped: Counter[str]) -> str:
    """Reasons with their numbers: ``3 written twice, 1 unfinished``."""
    return ", ".join(f"{number} {reason}" for reason, number in dropped.most_common())


def _told(made: Iterator[str], n: int, on_query: OnQuery) -> tuple[str, ...]:
    queries: list[str] = []
    for text in made:
        queries.append(text)
        on_query(text, len(queries), n)
    return tuple(queries)
