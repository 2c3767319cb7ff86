"""What remains of an error that nobody foresaw: its traceback in a file of the user's own, and one line."""

import traceback
from datetime import UTC, datetime
from pathlib import Path

from icltui.session import state_folder
from icltui.tui.cells import display


def write_crash_log(error: BaseException) -> str:
    """Append ``error`` with its traceback to the crash log; the line to leave on the terminal."""
    text = display(f"{type(error).__name__}: {error}")[:200]
    try:
        path = _append("".join(traceback.format_exception(error)))
    except OSError as problem:
        return f"icltui stopped on an error of its own ({text}); its log could not be written: {problem}"
    return f"icltui stopped on an error of its own ({text}); details: {path}"


def _append(report: str) -> Path:
    path = state_folder() / "crash.log"
    path.touch(mode=0o600, exist_ok=True)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n{report}\n")
    return path
