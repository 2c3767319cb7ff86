"""Measurements go to a database behind the back of whoever made them.

Whatever enters is first kept in a spool, by one thread; another sends what the spool holds, and then lets go of it. So
a database that is slow, away or gone stops nobody, and what it has not taken waits for the next program with the same
destination.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from icltui.storage.database.backlog import Backlog
from icltui.storage.database.destination import destination
from icltui.storage.database.entries import LogEntry
from icltui.storage.database.failure import AGAIN
from icltui.storage.database.spool import Spool, SpoolError
from icltui.storage.database.troubles import Tell, Troubles
from icltui.values.errors import IcltuiError

if TYPE_CHECKING:
    from icltui.storage.database.log import DatabaseLog

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between two attempts to reach a database that is away; each pause is twice the one before."""
_UNNOTICED = 0.3
"""Seconds of a wait that nobody need be told of."""
LAST_WAIT = 5.0
"""Seconds that a program's end waits for the database."""
_MOST_PENDING = 1_000
"""Calls that wait for the disk."""
_DATABASE, _DISK, _ENTRY = "database", "disk", "entry"
Make = Callable[[], Iterable[LogEntry]]


class LogQueue:
    """What one program sends to one database.

    Args:
        url: the database.
        spool: where entries wait for it: see :func:`.spool_of`.
        tell: hears of what was written, and once of each trouble and of its end.
    """

    def __init__(self, url: str, spool: Spool, tell: Tell) -> None:
        self._url, self._tell = url, tell
        self.where = destination(url)
        """The database as it may be shown."""
        self.n_rows = self.n_entries = 0
        """Rows that this program has added to the database, and entries that it has sent."""
        self._troubles = Troubles(tell)
        self._backlog = Backlog(spool, self._troubles)
        self._keeper = ThreadPoolExecutor(1, "log spool")
        self._pending = threading.BoundedSemaphore(_MOST_PENDING)
        self._log: DatabaseLog | None = None
        self._has_started = self._is_closed = self._is_reached = False
        self._turn = threading.Condition()
        self._is_asked, self._n_begun, self._n_done = True, 0, 0

    def start(self) -> None:
        """Begin to send; what earlier programs have left comes first."""
        self._has_started = True
        threading.Thread(target=self._send_on, name="database log", daemon=True).start()

    def put(self, make: Make) -> "Future[None] | None":
        """Send the entries that ``make`` makes, on another thread; done once they outlive the program.

        None where the disk has not answered for so long that nothing more may wait for it: they are lost then.
        """
        if not self._pending.acquire(blocking=False):
            self._troubles.tell(
                _DISK, f"{self._backlog.place}: the disk does not answer: what comes is not logged"
            )
            return None
        kept = self._keeper.submit(self._keep, make)
        kept.add_done_callback(lambda _: self._pending.release())
        return kept

    def close(
        self,
        seconds: float = LAST_WAIT,
        *,
        is_patient: bool = False,
        say: Callable[[str], object] = lambda _line: None,
    ) -> str:
        """Wait for what is on its way; a line about what is left, empty if nothing is.

        Args:
            seconds: the longest wait; Ctrl-C ends it.
            is_patient: wait anew as long as the database goes on taking.
            say: hears that there is a wait, where one can be noticed.
        """
        with contextlib.suppress(KeyboardInterrupt):
            self._keeper.shutdown()
            if self._has_started and self._backlog and not self._attempt_ends(_UNNOTICED):
                say(
                    f"log: {self.where}: waiting for it to take what is left (Ctrl-C leaves that to the next start)"
                )
                self._wait(seconds, is_patient)
        self._is_closed = True
        self._ask()
        if n_held := self._backlog.n_held:
            return f"log: {_counted(n_held)} lost: {self.where} did not take them, and {self._backlog.place} neither"
        if n_left := self._backlog.n_spooled:
            return f"log: {_counted(n_left)} kept in {self._backlog.place}, which the next start with this --log sends"
        return ""

    def _wait(self, seconds: float, is_patient: bool) -> None:
        n_entries = -1
        while self._backlog and n_entries != self.n_entries:
            n_entries = self.n_entries
            if self._attempt_ends(seconds) or not is_patient:
                break

    def _attempt_ends(self, seconds: float) -> bool:
        """Whether an attempt to send that begins from now on ends within so many seconds."""
        with self._turn:
            wanted = self._n_begun + 1
            self._ask()
            return self._turn.wait_for(lambda: self._n_done >= wanted, seconds)

    def _ask(self) -> None:
        with self._turn:
            self._is_asked = True
            self._turn.notify_all()

    # On the first thread.

    def _keep(self, make: Make) -> None:
        try:
            documents = [msgspec.json.encode(entry) for entry in make()]
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next one need not have it
            self._troubles.tell(_ENTRY, f"a measurement is left out: {_line(error)}")
            return
        self._backlog.keep(documents)
        self._troubles.end(_DISK, f"{self._backlog.place}: the disk answers again")
        self._ask()

    # On the second.

    def _send_on(self) -> None:
        pause = 0.0
        while not self._is_closed:
            with self._turn:
                self._turn.wait_for(lambda: self._is_asked, pause or None)
                self._is_asked = False
                self._n_begun += 1
            pause = 0.0 if self._send() else longer(pause)
            with self._turn:
                self._n_done = self._n_begun
                self._turn.notify_all()

    def _send(self) -> bool:
        """Send all that waits; whether that was possible."""
        try:
            log = self._open()
            while batch := self._backlog.oldest():
                entries, numbers = self._read(batch)
                n_rows = log.write(*entries)
                self.n_rows, self.n_entries = self.n_rows + n_rows, self.n_entries + len(entries)
                self._backlog.remove(numbers)
                self._reach()
                rows = f"{n_rows:,} row{'' if n_rows == 1 else 's'}"
                self._tell(
                    f"log: {rows} to {self.where}" if n_rows else f"log: {self.where} has these rows",
                    "written",
                )
            self._reach()
        except SpoolError as error:
            self._backlog.fail(error)
            return False
        except Exception as error:  # noqa: BLE001 -- whatever it is, what waits is safe and is tried again
            self._log = None
            line = _line(error).removesuffix(f": {AGAIN}").removesuffix(f", then {AGAIN}")
            self._troubles.tell(_DATABASE, f"{line}; measurements wait in {self._backlog.place}")
            return False
        return True

    def _open(self) -> "DatabaseLog":
        if self._log is None:
            from icltui.storage.database.log import open_log

            self._log = open_log(self._url)
        return self._log

    def _reach(self) -> None:
        """Tell that the database takes what comes: one that is full, or may only be read, can be opened too."""
        if not self._is_reached:
            self._is_reached = True
            self._tell(f"log: {self.where} is open", "written")
        self._troubles.end(_DATABASE, f"{self.where} answers again")

    def _read(self, batch: Sequence[tuple[int, bytes]]) -> tuple[list[LogEntry], list[int]]:
        """The entries that can be read, and the numbers of their documents; others are set aside."""
        entries, numbers = list[LogEntry](), list[int]()
        for number, document in batch:
            try:
                entries.append(msgspec.json.decode(document, type=LogEntry))
                numbers.append(number)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._backlog.set_aside(number)
                self._troubles.tell(_ENTRY, f"{self._backlog.place}: an entry of another version: {error}")
        return entries, numbers


def longer(pause: float) -> float:
    """The seconds to wait after an attempt that failed, from those that were waited before it.

    >>> longer(0.0), longer(1.0), longer(40.0), longer(60.0)
    (1.0, 2.0, 60.0, 60.0)
    """
    return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * pause))


def _counted(n: int) -> str:
    return "1 measurement is" if n == 1 else f"{n:,} measurements are"


def _line(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, IcltuiError)
        else f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    )
