"""Work that yields the processor to whatever somebody waits for: in a thread of low priority.

Linux gives each thread a priority of its own. A whole process that lowers its own cannot raise it again without
privileges (nor leave ``SCHED_IDLE``), but a thread may lower its own and end, and the others never were lower.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread, get_native_id
from typing import TypeVar

Result = TypeVar("Result")
LOWER_BY = 5
"""Steps of nice: a third of the share of a process at 0; more would starve the work on a busy machine."""


def at_low_priority(work: Callable[[], Result]) -> Result:
    """Do ``work`` in a thread of low priority, as are the threads that it starts; wait for it.

    Where threads have no priority of their own, it is done at the priority of the process.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        if sys.platform == "linux":
            with suppress(OSError):  # forbidden in a sandbox
                own = get_native_id()
                os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + LOWER_BY)
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- raised again in the caller's thread
            outcome.set_exception(error)

    Thread(target=run, name="low priority", daemon=True).start()
    return outcome.result()
