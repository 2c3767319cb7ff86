"""An experiment on Ray: an actor for each GPU, or share of CPUs, holds the model, and Ray hands the items out.

The actors write their rows themselves, into a folder that all nodes share. Ray replaces dead actors, wherever there is
room, and gives their items to them again; which rows there are in the end does not depend on any of that, since a row's
key does not.
"""

import importlib
import os
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from icltui import __version__
from icltui.api import run_to_result
from icltui.engine.local import LocalEngine
from icltui.experiment.experiment import Experiment
from icltui.experiment.ray_chunks import PATIENCE, RETRIES, ActorLost, Cluster, DoneItems, hand_out, result_of
from icltui.experiment.ray_cluster import actor_share, connected
from icltui.experiment.row_tally import RowTally
from icltui.experiment.run import RunProgress, Shard, ignore, run_items, work_units
from icltui.storage.paths import shown
from icltui.storage.row_store import RowStore
from icltui.storage.rows_folder import is_rows_folder
from icltui.text.escape import visible
from icltui.values.errors import BadInput, ModelError
from icltui.values.results import ResultRow

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT", bound=ResultRow)

HeldExperiment = tuple[Any]
"""An experiment in Ray's store: in a tuple, so that an actor gets it when it needs it and not with every call. It holds
a sweep's prompts; as an argument of the actor's constructor it would be lost to an actor that replaces another.
"""
_WHOLE = Shard()


@dataclass(frozen=True)
class ListedItems:
    """What an actor found of one model."""

    version: str
    """Of icltui, on the actor's node."""
    model: str
    units: tuple[tuple[str, tuple[str, ...]], ...]
    """The key of each unit of work, with those of its items."""


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
    say: Callable[[str], object] = ignore,
) -> RunProgress:
    """Run what the folder has no rows of, on all of a cluster; how far it came.

    Args:
        folder: a claimed folder of rows that every node sees at the same path.
        address: see :func:`icltui.experiment.ray_cluster.connected`.
        shard: the share of the items to run.
        retry: whether items that failed before are run again.
        on_tally: called before ``on_progress`` with what the rows since the last call add up to.
        on_progress: called whenever items are done; may raise to stop, and what there is by then is kept.
        say: called with a line whenever the cluster has no node that can work.

    Raises:
        IcltuiError: Ray is missing or cannot be reached, a node does not see the folder, rows cannot be written; or,
            once all others have run, a model that cannot be loaded.
    """
    folder = folder.absolute()
    store = RowStore(folder, experiment.row_type)
    kept = store.keys(failed=not retry)
    progress, refused = RunProgress(), list[ModelError]()
    with connected(folder, address) as ray:
        cluster, held = _start_actors(ray, folder, say), (ray.put(experiment),)
        n_models = len(experiment.models())
        for number in range(n_models):
            try:
                listed = _list_items(cluster, held, number)
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
            give_up = partial(_as_failed, store)
            for done, n_items in hand_out(cluster, partial(_run, held, number), missing, kept, give_up):
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


def _start_actors(ray: Any, folder: Path, say: Callable[[str], object]) -> Cluster:
    """One for each share of the cluster; Ray starts another wherever there is room when one dies."""
    n_actors, share = actor_share(ray.nodes())
    actor = ray.remote(max_restarts=-1, max_task_retries=RETRIES, **share)(ExperimentActor)
    return Cluster(ray, [actor.remote(str(folder)) for _ in range(n_actors)], share, say)


def _list_items(cluster: Cluster, held: HeldExperiment, number: int) -> ListedItems:
    """All actors load the model; what the first of them found."""
    calls = [actor.list.remote(held, number) for actor in cluster.actors]
    while (ready := cluster.next_of(calls, PATIENCE)) is None:
        continue
    listed = result_of(cluster.ray, ready)
    assert isinstance(listed, ListedItems)
    if listed.version != __version__:
        raise BadInput(
            f"the cluster has icltui {listed.version}, and this is {__version__}: install one on both"
        )
    return listed


def _run(held: HeldExperiment, number: int, actor: Any, *of_chunk: object) -> Any:
    """The call of an actor, whose result comes later."""
    return actor.run.remote(held, number, *of_chunk)


def _as_failed(store: RowStore[RowT], chunk: int, keys: Sequence[str], error: ActorLost) -> DoneItems:
    """Keep a row with the error for each of these items."""
    rows = [store.row_type(key=key, error=str(error)) for key in keys]
    store.append(rows)
    store.flush()
    tally = RowTally()
    tally.add(rows)
    return DoneItems(chunk, len(rows), tally)
