"""The CPU time of another process."""

import ctypes
import os
import time


def cpu_seconds(pid: int) -> float:
    """CPU seconds of all threads of a process so far, to the nanosecond where ``/proc`` counts hundredths.

    Raises:
        OSError: no such process, or a system without such clocks.
    """
    clock = ctypes.c_int()
    try:
        error = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    except AttributeError as missing:
        raise OSError("this system has no clock of another process's CPU time") from missing
    if error:
        raise OSError(error, os.strerror(error))
    return time.clock_gettime(clock.value)
