"""What a database has not taken yet: in a spool, or in memory while no disk takes it."""

import threading
from collections.abc import Sequence

from icltui.storage.database.spool import Spool, SpoolError
from icltui.storage.database.troubles import Troubles
from icltui.storage.paths import shown

_MOST_HELD = 64 * 2**20
"""Bytes in memory."""
_SPOOL, _MEMORY = "spool", "memory"


class Backlog:
    """Documents until they are sent; any thread may use it. A spool that fails is told, and stops nothing."""

    def __init__(self, spool: Spool, troubles: Troubles) -> None:
        self._spool, self._troubles = spool, troubles
        self._held: dict[int, bytes] = {}
        """Documents in memory, by numbers that none in the spool has."""
        self._n_held = 0
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        """The spool's path as it may be shown."""
        return shown(self._spool.path)

    def keep(self, documents: Sequence[bytes]) -> None:
        """Keep documents in the spool, with those that are in memory; where that fails, in memory."""
        with self._lock:
            held = dict(self._held)
        try:
            if held or documents:
                self._spool.keep([*held.values(), *documents])
        except SpoolError as error:
            self.fail(error)
            self._hold(documents)
        else:
            self._troubles.end(_SPOOL, f"{self.place} is written again")
            self._forget(held)

    def oldest(self) -> list[tuple[int, bytes]]:
        """Documents to be sent together, each with its number.

        Raises:
            SpoolError: the spool cannot be read.
        """
        with self._lock:
            held = [*self._held.items()]
        return held or self._spool.oldest()

    def remove(self, numbers: Sequence[int]) -> None:
        """Let go of what was sent.

        Raises:
            SpoolError: the spool cannot be written. What stays there is sent once more, which does no harm.
        """
        self._forget(numbers)
        if kept := [number for number in numbers if number > 0]:
            self._spool.remove(kept)

    def set_aside(self, number: int) -> None:
        """Leave a document to another version of the program.

        Raises:
            SpoolError: the spool cannot be written.
        """
        self._spool.set_aside(number)

    def __len__(self) -> int:
        """Documents that wait."""
        return self.n_held + self.n_spooled

    @property
    def n_held(self) -> int:
        """Documents that are in memory alone."""
        return len(self._held)

    @property
    def n_spooled(self) -> int:
        """Documents in the spool; 0 where it cannot be read."""
        try:
            return len(self._spool)
        except SpoolError as error:
            self.fail(error)
            return 0

    def fail(self, error: SpoolError) -> None:
        """Tell that the spool cannot be used, unless that is known."""
        self._troubles.tell(_SPOOL, f"{error}: until that is mended, measurements wait in memory alone")

    def _hold(self, documents: Sequence[bytes]) -> None:
        with self._lock:
            size, n_lost = sum(map(len, self._held.values())), 0
            for document in documents:
                if size + len(document) > _MOST_HELD:
                    n_lost += 1
                    continue
                self._n_held += 1
                self._held[-self._n_held] = document
                size += len(document)
        if n_lost:
            self._troubles.tell(
                _MEMORY, "the memory for measurements that wait is full: what comes is not logged"
            )

    def _forget(self, numbers: "Sequence[int] | dict[int, bytes]") -> None:
        with self._lock:
            for number in numbers:
                self._held.pop(number, None)
