"""The memory of a process, as Linux reports it in ``/proc``."""

import re
from pathlib import Path
from typing import Literal


def resident_bytes(which: Literal["now", "peak"], pid: int | str = "self") -> int | None:
    """Resident bytes of a process, at present or at most so far; None where the system does not report it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{'VmRSS' if which == 'now' else 'VmHWM'}:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
