"""An experiment from its first item to its last: what is there is skipped, what comes is kept.

Enters: an experiment and a store of rows. Leaves: the store with a row for every item, or for as many as there was time
for. Stopped anywhere, the same call goes on where it stopped; several at once share a folder's rows by shards.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from icltui.api import run_to_result
from icltui.api.messages import Event, LoadModel
from icltui.engine.local import LocalEngine
from icltui.experiment.experiment import Experiment
from icltui.values import ModelInfo
from icltui.values.errors import ModelError
from icltui.values.results import ResultRow

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT", bound=ResultRow)
KeptT = TypeVar("KeptT", bound=ResultRow, contravariant=True)
_ROWS_PER_FLUSH = 2_000
_SHORTEST_WAIT, _LONGEST_WAIT = 2.0, 30.0
"""Seconds between flushes."""
_SHARE_AT_RISK = 0.05
"""Of the time worked so far, that a kill may lose."""


class RowSink(Protocol[KeptT]):
    """Where rows are kept: :class:`icltui.storage.row_store.RowStore`, or :class:`RowsInMemory`."""

    def keys(self, *, failed: bool = True) -> set[str]:
        """Keys of the items that are kept; ``failed``: also of those that are nothing but an error."""
        ...

    def append(self, rows: Iterable[KeptT]) -> None:
        """Keep the rows of one item."""
        ...

    def flush(self) -> None:
        """Put what is kept where it lasts."""
        ...


class RowsInMemory(list[RowT]):
    """Rows of an experiment that leaves no folder."""

    def keys(self, *, failed: bool = True) -> set[str]:
        """See :meth:`RowSink.keys`."""
        return {row.key for row in self if failed or row.error is None}

    def append(self, rows: Iterable[RowT]) -> None:  # type: ignore[override]  # the rows of an item come together
        """See :meth:`RowSink.append`."""
        self.extend(rows)

    def flush(self) -> None:
        """Nothing lasts."""


@dataclass(frozen=True)
class Shard:
    """The i-th of n shares of an experiment's work, i from 1; the share of a unit follows from its key alone."""

    index: int = 1
    count: int = 1

    def holds(self, key: str) -> bool:
        """Whether the unit is in this share."""
        return int(key[:15], 16) % self.count == self.index - 1


@dataclass(frozen=True)
class RunProgress:
    """How far an experiment is."""

    model: str = ""
    """The present model."""
    done: int = 0
    """Items with rows, of this share, those of earlier runs included."""
    total: int = 0
    """Items of this share; models that are not loaded yet count as the last one."""
    failed: int = 0
    """Items of this run that ended in an error."""
    fresh: int = 0
    """Items of this run."""
    seconds: float = 0.0
    """Time that this run worked on items."""
    total_so_far: int = 0
    """Items of the models that were loaded."""

    @property
    def rate(self) -> float | None:
        """Items per second; None before the first."""
        return self.fresh / self.seconds if self.fresh and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest takes at this rate."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass(frozen=True)
class WorkUnit(Generic[ItemT]):
    """Items that run together or not at all."""

    key: str
    """The batch that they are of; of an item by itself the item's own key."""
    items: list[tuple[str, ItemT]]

    def lacks(self, kept: Collection[str]) -> bool:
        """Whether the rows of an item are missing."""
        return any(key not in kept for key, _ in self.items)


def work_units(items: Iterable[tuple[str, ItemT]]) -> list[WorkUnit[ItemT]]:
    """The items, those with the same ``batch`` together, and of one key only the first.

    The rounding of a number depends on what else is in its batch. So a batch is always the same items, whatever is kept
    already and however many workers there are, and rows are equal bit for bit.
    """
    units: dict[str, WorkUnit[ItemT]] = {}
    seen = set[str]()
    for key, item in items:
        if key not in seen:
            seen.add(key)
            name = getattr(item, "batch", key)
            units.setdefault(name, WorkUnit(name, [])).items.append((key, item))
    return list(units.values())


def ignore(_event: object) -> None:
    """The default where nobody watches."""


def run_experiment(
    experiment: Experiment[ItemT, RowT],
    store: RowSink[RowT],
    *,
    shard: Shard = Shard(),
    retry: bool = False,
    engine: LocalEngine | None = None,
    on_progress: Callable[[RunProgress], object] = ignore,
    on_load: Callable[[LoadModel, Event], None] = lambda _request, _event: None,
) -> RunProgress:
    """Run what is not in the store, model after model; how far it came.

    Args:
        shard: the share of the items to run.
        retry: whether items that failed before are run again.
        engine: the engine to use; None: a new one.
        on_progress: called after every item; may raise to stop, and what there is by then is kept.
        on_load: called with each event of a model's loading.

    Raises:
        IcltuiError: rows cannot be written; or, once all others have run, a model that cannot be loaded.
    """
    engine = engine or LocalEngine()
    requests = experiment.models()
    kept = store.keys(failed=not retry)
    progress, refused = RunProgress(), list[ModelError]()
    for number, request in enumerate(requests):
        try:
            model = run_to_result.load(engine, request, partial(on_load, request))
        except ModelError as error:
            refused.append(error)
            continue
        units = [unit for unit in work_units(experiment.items(engine, model)) if shard.holds(unit.key)]
        keys = [key for unit in units for key, _ in unit.items]
        n_kept = sum(key in kept for key in keys)
        watch = _Watch(progress, model.name, len(keys), n_kept, len(requests) - number - 1, on_progress)
        missing = [item for unit in units if unit.lacks(kept) for item in unit.items]
        run_items(experiment, engine, model, missing, store, kept, watch.take)
        progress = watch.progress
    if refused:
        raise refused[0]
    return progress


def run_items(
    experiment: Experiment[ItemT, RowT],
    engine: LocalEngine,
    model: ModelInfo,
    items: Sequence[tuple[str, ItemT]],
    store: RowSink[RowT],
    kept: Collection[str] = (),
    on_rows: Callable[[Sequence[RowT]], object] = ignore,
) -> None:
    """Run whole units of items on the loaded model and keep their rows, flushed every few seconds and at any end.

    Args:
        kept: keys of items whose rows are kept already, which are run for the sake of their unit.
        on_rows: called with the rows of each other item.
    """
    start = flushed = time.monotonic()
    n_rows = 0
    try:
        for rows in experiment.run(engine, model, items) if items else ():
            if rows and rows[0].key in kept:
                continue
            store.append(rows)
            n_rows += len(rows)
            on_rows(rows)
            now = time.monotonic()
            wait = min(_LONGEST_WAIT, _SHARE_AT_RISK * (now - start))
            if n_rows >= _ROWS_PER_FLUSH or now - flushed > max(_SHORTEST_WAIT, wait):
                store.flush()
                flushed, n_rows = time.monotonic(), 0
    finally:
        store.flush()


class _Watch:
    """Counts the items of one model and their time, and tells how far they are."""

    def __init__(
        self,
        before: RunProgress,
        model: str,
        n_items: int,
        n_kept: int,
        n_models: int,
        on_progress: Callable[[RunProgress], object],
    ) -> None:
        total = before.total_so_far + n_items
        self.progress = replace(
            before,
            model=model,
            done=before.done + n_kept,
            total_so_far=total,
            total=total + n_models * n_items,
        )
        self._last = time.monotonic()
        self._on_progress = on_progress
        on_progress(self.progress)

    def take(self, rows: Sequence[ResultRow]) -> None:
        """Count the rows of one more item, and tell."""
        now, was = time.monotonic(), self.progress
        self.progress = replace(
            was,
            done=was.done + 1,
            fresh=was.fresh + 1,
            failed=was.failed + any(row.error is not None for row in rows),
            seconds=was.seconds + now - self._last,
        )
        self._last = now
        self._on_progress(self.progress)
