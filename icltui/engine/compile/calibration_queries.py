"""The queries that a patch is calibrated on, where the user gives none.

Enters: a loaded model, a prompt whose context counts, and a kind. Leaves: :class:`CalibrationQueries`: texts, as a
recipe keeps them, so that a session makes the same patch again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from icltui.api.option_table import MOST_CALIBRATION_QUERIES
from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.compile.context_reader import ContextReader
from icltui.engine.compile.repeat_context import repeat_context
from icltui.engine.compile.self_study import SelfStudy
from icltui.engine.compile.study_file import open_study
from icltui.engine.compile.written_text import comparable
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

N_QUERIES = 24
"""Queries, where the context gives as many."""

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


@torch.no_grad()  # not inference mode: what a model keeps of a pass is to serve derivatives later
def calibration_queries(
    loaded: LoadedModel,
    prompt: Prompt,
    kind: Literal["repeat", "self"],
    n: int = N_QUERIES,
    seed: int = 0,
    on_query: OnQuery = ignore_query,
    on_progress: ProgressCallback = ignore_progress,
    unseen: Sequence[str] = (),
) -> CalibrationQueries:
    """Up to ``n`` queries after the prompt's context, none of them in ``unseen``; the prompt's own does not count.

    ``on_progress`` is called before each pass through the model, and either callback may raise to stop. Of a
    self-study that is stopped, what was written is kept, and the next with the same arguments goes on from there.

    Raises:
        BadInput: no context, one that leaves no room, or one that gives no usable query.
    """
    if not prompt.context.strip():
        raise BadInput("there is no context to make queries from: give --context")
    if not 1 <= n <= MOST_CALIBRATION_QUERIES:
        raise BadInput(f"{n:,} calibration queries: ask for 1 to {MOST_CALIBRATION_QUERIES}")
    reader = ContextReader(loaded, prompt)
    start = reader.before("")  # a context that the model cannot hold is refused
    told = _Told(n, {comparable(text) for text in unseen}, on_query)
    if kind == "repeat":
        told.add_all(repeat_context(reader, n + len(unseen), on_progress))
        if not told.queries:
            raise BadInput(
                "no piece of the context can be a query: give --queries, or let the model write some: --calibrate self"
            )
        return CalibrationQueries(tuple(told.queries))
    file = open_study(loaded, start, prompt.chat, seed)
    study = SelfStudy(reader, seed, file, on_progress)
    told.add_all(study.queries(n, told.others.copy()))
    n_written, dropped = len(told.queries), counts(study.dropped)
    if not n_written:
        raise BadInput(
            f"the model wrote no usable query in the context ({dropped}): give --queries, try another --seed, or use "
            "--calibrate repeat"
        )
    notes = ["the file of this self-study was damaged, so it was begun anew"] if file.is_damaged else []
    notes += [f"dropped of what the model wrote: {dropped}"] if dropped else []
    if n_written < n:
        told.add_all(repeat_context(reader, n, on_progress))
        n_pieces = len(told.queries) - n_written
        notes.append(f"the model wrote {n_written} of {n} queries, and {n_pieces} are pieces of the context")
    return CalibrationQueries(tuple(told.queries), tuple(notes))


def counts(dropped: Counter[str]) -> str:
    """Reasons with their numbers: ``3 written twice, 1 unfinished``."""
    return ", ".join(f"{number} {reason}" for reason, number in dropped.most_common())


@dataclass
class _Told:
    """Queries, each told as it comes."""

    n: int
    others: set[str]
    """What no query may be, without regard to case and spaces."""
    on_query: OnQuery
    queries: list[str] = field(default_factory=list)

    def add_all(self, made: Iterator[str]) -> None:
        """Add what is no other query, until there are enough."""
        while len(self.queries) < self.n and (text := next(made, None)) is not None:
            if comparable(text) not in self.others:
                self.others.add(comparable(text))
                self.queries.append(text)
                self.on_query(text, len(self.queries), self.n)
