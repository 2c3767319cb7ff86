"""Items on the actors of a cluster of Ray: handed out in chunks, and handed out again where an actor died.

Enters: keys of units of work, and a call of an actor. Leaves: what becomes of each unit, once.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from icltui.experiment.ray_cluster import has_room
from icltui.experiment.row_tally import RowTally
from icltui.text.escape import visible
from icltui.values.errors import EngineError, IcltuiError

_CHUNKS_PER_ACTOR, _MOST_ITEMS = 8, 128
"""Items go out in chunks: so many for each actor, so that all end at about the same time, and none of more items."""
PATIENCE = 10.0
"""Seconds without a result after which idle actors are given what others have not answered."""
RETRIES = 3
"""How often Ray gives a chunk again whose actor died: more is the chunk's own doing."""


class ActorLost(EngineError):
    """The processes that an actor's call was given to have all died."""


@dataclass(frozen=True)
class DoneItems:
    """What became of one chunk of items."""

    chunk: int
    n_failed: int
    tally: RowTally


@dataclass
class Cluster:
    """Ray, its actors, and who is told when they have no node."""

    ray: Any
    actors: Sequence[Any]
    share: Mapping[str, float]
    """What an actor takes."""
    say: Callable[[str], object]
    is_told: bool = False

    def next_of(self, calls: Sequence[Any], seconds: float) -> Any | None:
        """A call that has ended; None where none has by then."""
        ready, _ = self.ray.wait(list(calls), num_returns=1, timeout=seconds)
        if ready:
            self.is_told = False
            return ready[0]
        if not self.is_told and not has_room(self.ray.nodes(), self.share):
            self.is_told = True
            self.say(
                "the cluster has no node left that can work: waiting for one (Ctrl-C stops, what is written is kept)"
            )
        return None


def hand_out(
    cluster: Cluster,
    run: Callable[..., Any],
    units: Mapping[str, Sequence[str]],
    kept: Set[str],
    give_up: Callable[[int, Sequence[str], ActorLost], DoneItems],
) -> Iterator[tuple[DoneItems, int]]:
    """What becomes of each chunk of units, once, with the number of items that it lacked; in any order.

    Ray runs a chunk again where its actor died, as soon as there is room for another actor. Where there is none, such
    as when the cluster has become smaller, an idle actor is given the chunk: a row that is there twice counts once.
    A chunk that kills every actor goes on unit by unit, and such a unit is given up.
    """
    n_items = sum(map(len, units.values()))
    n_of_chunk = min(_MOST_ITEMS, n_items // (_CHUNKS_PER_ACTOR * len(cluster.actors)))
    waiting = dict(enumerate(chunks_of(units, n_of_chunk)))
    numbers = itertools.count(len(waiting))
    todo, idle = deque(waiting), deque(cluster.actors)
    running = dict[Any, tuple[int, Any]]()
    patience, told = PATIENCE, time.monotonic()
    while waiting:
        while todo and idle:
            if (at := todo.popleft()) in waiting:
                of_chunk = frozenset(item for key in waiting[at] for item in units[key] if item in kept)
                actor = idle.popleft()
                running[run(actor, at, waiting[at], of_chunk)] = at, actor
        if (ended := cluster.next_of(list(running), patience)) is None:
            todo.extend(itertools.islice(waiting, len(idle)))
            continue
        at, actor = running.pop(ended)
        idle.append(actor)
        if at not in waiting:
            continue
        patience, told = max(patience, 3 * (time.monotonic() - told)), time.monotonic()
        lacks = [item for key in waiting[at] for item in units[key] if item not in kept]
        keys = waiting.pop(at)
        try:
            done = result_of(cluster.ray, ended)
        except ActorLost as error:
            if len(keys) > 1:
                each = {next(numbers): [key] for key in keys}
                waiting |= each
                todo.extend(each)
                continue
            done = give_up(at, lacks, error)
        yield done, len(lacks)


def chunks_of(units: Mapping[str, Sequence[str]], n_items: int) -> Iterator[list[str]]:
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


def result_of(ray: Any, call: Any) -> Any:
    """What an actor's call gave.

    Raises:
        ActorLost: Ray has run it as often as it may.
        IcltuiError: what the call raised, without Ray's words around it.
    """
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, IcltuiError):
            raise error.cause from None
        raise EngineError(f"an actor failed: {_line(error.cause)}") from error
    except ray.exceptions.ActorUnavailableError as error:
        raise ActorLost(
            f"every process that ran it died, {1 + RETRIES} in turn, such as of memory: --retry runs it again"
        ) from error
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray failed: {_line(error)}: run the same command again to go on") from error


def _line(error: BaseException) -> str:
    return visible(" ".join(f"{type(error).__name__} {error}".split())[:300])
