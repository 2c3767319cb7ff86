"""An experiment on Ray: an actor for each GPU, or share of CPUs, holds the model, and Ray hands the items out.

The actors write their rows themselves, into a folder that all nodes share. Ray replaces dead actors, wherever there is
room, and gives their items to them again; which rows there are in the end does not depend on any of that, since a row's
key does not.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from icltui import __version__
from icltui.api import run_to_result
from icltui.engine.local import LocalEngine
from icltui.experiment.experiment import Experiment
from icltui.experiment.ray_cluster import actor_share, connected
from icltui.experiment.row_tally import RowTally
from icltui.experiment.run import RunProgress, Shard, ignore, run_items, work_units
from icltui.storage.paths import shown
from icltui.storage.row_store import RowStore
from icltui.storage.rows_folder import is_rows_folder
from icltui.text.escape import visible
from icltui.values.errors import BadInput, EngineError, IcltuiError, ModelError
from icltui.values.results import ResultRow

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT", bound=ResultRow)

HeldExperiment = tuple[Any]
"""An experiment in Ray's store: in a tuple, so that an actor gets it when it needs it and not with every call. It holds
a sweep's prompts; as an argument of the actor's constructor it would be lost to an actor that replaces another.
"""
_WHOLE = Shard()
_CHUNKS_PER_ACTOR, _MOST_ITEMS = 8, 128
"""Items go out in chunks: so many for each actor, so that all end at about the same time, and none of more items."""
_PATIENCE = 10.0
"""Seconds without a result after which idle actors are given what others have not answered."""


@dataclass(frozen=True)
class ListedItems:
    """What an actor found of one model."""

    version: str
    """Of icltui, on the actor's node."""
    model: str
    units: tuple[tuple[str, tuple[str, ...]], ...]
    """The key of each unit of work, with those of its items."""


@dataclass(frozen=True)
class DoneItems:
    """What became of one chunk of items."""

    chunk: int
    n_failed: int
    tally: RowTally


class ExperimentActor(Generic[ItemT, RowT]):
    """One process of a cluster, with one model at a time."""

    def __init__(self, folder: str) -> None:
        self._folder, self._engine = Path(folder), LocalEngine()
        self._loaded: int | None = None
        self._ray = importlib.import_module("ray")
        self._replaces_another = bool(self._ray.get_runtime_context().was_current_actor_reconstructed)

    def list(self, experiment: HeldExperiment, number: int) -> ListedItems:
        """Load the experiment's model of this number, and find its items.

        Raises:
            IcltuiError: the folder is not on this machine, or the model cannot be loaded.
        """
        self._load(experiment, number)
        units = ((unit.key, tuple(key for key, _ in unit.items)) for unit in self._units.values())
        return ListedItems(__version__, self._model.name, tuple(units))

    def run(
        self, experiment: HeldExperiment, number: int, chunk: int, keys: Sequence[str], kept: Set[str]
    ) -> DoneItems:
        """Run these units of that model and keep the rows of their items, but for those in ``kept``.

        An actor that replaces a dead one first looks what that one has kept.
        """
        self._load(experiment, number)
        store = RowStore(self._folder, self._experiment.row_type)
        if self._replaces_another:
            kept = kept | store.keys(failed=False)
        self._replaces_another = False
        tally, n_failed = RowTally(), 0

        def count(rows: Sequence[RowT]) -> None:
            nonlocal n_failed
            tally.add(rows)
            n_failed += any(row.error is not None for row in rows)

        units = [unit for key in keys if (unit := self._units[key]).lacks(kept)]
        items = [item for unit in units for item in unit.items]
        run_items(self._experiment, self._engine, self._model, items, store, kept, count)
        return DoneItems(chunk, n_failed, tally)

    def _load(self, held: HeldExperiment, number: int) -> None:
        if self._loaded == number:
            return
        if not is_rows_folder(self._folder):
            raise BadInput(
                f"{shown(self._folder)} is not there on {visible(os.uname().nodename)}: --on ray needs an --out "
                "folder that all nodes share"
            )
        self._loaded = None
        self._experiment: Experiment[ItemT, RowT] = self._ray.get(held[0])
        self._model = run_to_result.load(self._engine, self._experiment.models()[number])
        units = work_units(self._experiment.items(self._engine, self._model))
        self._units = {unit.key: unit for unit in units}
        self._loaded = number


def run_on_ray(
    experiment: Experiment[ItemT, RowT],
    folder: Path,
    address: str | None = None,
    *,
    shard: Shard = _WHOLE,
    retry: bool = False,
    on_tally: Callable[[RowTally], object] = ignore,
    on_progress: Callable[[RunProgress], object] = ignore,
) -> RunProgress:
    """Run what the folder has no rows of, on all of a cluster; how far it came.

    Args:
        folder: a claimed folder of rows that every node sees at the same path.
        address: see :func:`icltui.experiment.ray_cluster.connected`.
        shard: the share of the items to run.
        retry: whether items that failed before are run again.
        on_tally: called before ``on_progress`` with what the rows since the last call add up to.
        on_progress: called whenever items are done; may raise to stop, and what there is by then is kept.

    Raises:
        IcltuiError: Ray is missing or cannot be reached, a node does not see the folder, rows cannot be written; or,
            once all others have run, a model that cannot be loaded.
    """
    folder = folder.absolute()
    kept = RowStore(folder, experiment.row_type).keys(failed=not retry)
    progress, refused = RunProgress(), list[ModelError]()
    with connected(folder, address) as ray:
        actors, held = _start_actors(ray, folder), (ray.put(experiment),)
        n_models = len(experiment.models())
        for number in range(n_models):
            try:
                listed = _list_items(ray, actors, held, number)
            except ModelError as error:
                refused.append(error)
                continue
            units = {key: items for key, items in listed.units if shard.holds(key)}
            n_items = sum(map(len, units.values()))
            missing = {key: items for key, items in units.items() if not kept.issuperset(items)}
            n_kept = sum(key in kept for items in units.values() for key in items)
            progress = _with_model(progress, listed.model, n_items, n_kept, n_models - number - 1)
            on_progress(progress)
            start, before = time.monotonic(), progress.seconds
            for done, n_items in _hand_out(ray, actors, partial(_run, held, number), missing, kept):
                progress = replace(
                    progress,
                    done=progress.done + n_items,
                    fresh=progress.fresh + n_items,
                    failed=progress.failed + done.n_failed,
                    seconds=before + time.monotonic() - start,
                )
                on_tally(done.tally)
                on_progress(progress)
    if refused:
        raise refused[0]
    return progress


def _with_model(progress: RunProgress, model: str, n_items: int, n_kept: int, n_models: int) -> RunProgress:
    total = progress.total_so_far + n_items
    return replace(
        progress,
        model=model,
        done=progress.done + n_kept,
        total_so_far=total,
        total=total + n_models * n_items,
    )


def _start_actors(ray: Any, folder: Path) -> list[Any]:
    """One for each share of the cluster; Ray starts another wherever there is room when one dies."""
    n_actors, share = actor_share(ray.nodes())
    actor = ray.remote(max_restarts=-1, max_task_retries=-1, **share)(ExperimentActor)
    return [actor.remote(str(folder)) for _ in range(n_actors)]


def _list_items(ray: Any, actors: Sequence[Any], held: HeldExperiment, number: int) -> ListedItems:
    """All actors load the model; what the first of them found."""
    ready, _ = ray.wait([actor.list.remote(held, number) for actor in actors], num_returns=1)
    listed = _result(ray, lambda: ray.get(ready[0]))
    assert isinstance(listed, ListedItems)
    if listed.version != __version__:
        raise BadInput(
            f"the cluster has icltui {listed.version}, and this is {__version__}: install one on both"
        )
    return listed


def _run(held: HeldExperiment, number: int, actor: Any, *of_chunk: object) -> Any:
    """The call of an actor, whose result comes later."""
    return actor.run.remote(held, number, *of_chunk)


def _hand_out(
    ray: Any,
    actors: Sequence[Any],
    run: Callable[..., Any],
    units: Mapping[str, Sequence[str]],
    kept: Set[str],
) -> Iterator[tuple[DoneItems, int]]:
    """What becomes of each chunk of units, once, with the number of items that it lacked; in any order.

    Ray runs a chunk again where its actor died, as soon as there is room for another actor. Where there is none, such
    as when the cluster has become smaller, an idle actor is given the chunk: a row that is there twice counts once.
    """
    n_items = sum(map(len, units.values()))
    waiting = dict(enumerate(_chunks(units, min(_MOST_ITEMS, n_items // (_CHUNKS_PER_ACTOR * len(actors))))))
    pool = importlib.import_module("ray.util").ActorPool(list(actors))

    def submit(at: int) -> None:
        of_chunk = frozenset(item for key in waiting[at] for item in units[key] if item in kept)
        pool.submit(lambda actor, keys: run(actor, at, keys, of_chunk), waiting[at])

    for at in waiting:
        submit(at)
    patience, told = _PATIENCE, time.monotonic()
    while waiting:
        try:
            done = _result(ray, lambda: pool.get_next_unordered(timeout=patience))  # noqa: B023
        except TimeoutError:
            for at in waiting:
                if pool.has_free():
                    submit(at)
            continue
        patience = max(patience, 3 * (time.monotonic() - told) if done.chunk in waiting else 0)
        told = time.monotonic()
        if (chunk := waiting.pop(done.chunk, None)) is not None:
            yield done, sum(item not in kept for key in chunk for item in units[key])


def _chunks(units: Mapping[str, Sequence[str]], n_items: int) -> Iterator[list[str]]:
    """Keys of units, together of at least so many items."""
    chunk, n = list[str](), 0
    for key, items in units.items():
        chunk.append(key)
        n += len(items)
        if n >= n_items:
            yield chunk
            chunk, n = [], 0
    if chunk:
        yield chunk


def _result(ray: Any, get: Callable[[], Any]) -> Any:
    """What an actor's call gave.

    Raises:
        IcltuiError: what the call raised, without Ray's words around it.
    """
    try:
        return get()
    except ray.exceptions.GetTimeoutError:
        raise
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, IcltuiError):
            raise error.cause from None
        raise EngineError(f"an actor failed: {_line(error.cause)}") from error
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray failed: {_line(error)}: run the same command again to go on") from error


def _line(error: BaseException) -> str:
    return visible(" ".join(f"{type(error).__name__} {error}".split())[:300])
