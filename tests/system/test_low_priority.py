"""Work in a thread of low priority."""

import os
import sys
from threading import Thread, get_native_id

import pytest

from icltui.system.low_priority import LOWER_BY, at_low_priority


def priorities() -> tuple[int, int]:
    """Nice of this thread, and of one that it starts."""
    found = [os.getpriority(os.PRIO_PROCESS, get_native_id())]
    thread = Thread(target=lambda: found.append(os.getpriority(os.PRIO_PROCESS, get_native_id())))
    thread.start()
    thread.join()
    return found[0], found[1]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux")
def test_the_thread_and_its_own_are_lower_and_the_process_is_not():
    before = priorities()
    lower = min(before[0] + LOWER_BY, 19)
    assert at_low_priority(priorities) == (lower, lower)
    assert priorities() == before


def test_errors_are_the_callers():
    with pytest.raises(ZeroDivisionError):
        at_low_priority(lambda: 1 // 0)
