"""The crash log: the traceback of an unexpected error in a file, and one line for the terminal."""

import traceback
from datetime import UTC, datetime

from icltui.storage.paths import state_path
from icltui.system.log_file import LogFile
from icltui.tui.draw.safe_text import display


def write_crash_log(error: BaseException, what: str = "icltui stopped") -> str:
    """Append ``error`` with its traceback to the crash log; the line to leave on the terminal. Raises nothing.

    ``what`` is what came of it.
    """
    cause = getattr(error, "error", None)  # of Textual's WorkerFailed, which does not say where it came from
    error = cause if isinstance(cause, BaseException) else error
    text = display(f"{type(error).__name__}: {_words(error)}")[:200]
    report = "".join(traceback.format_exception(error))
    log = LogFile(state_path() / "crash.log")
    log.write(
        f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n{report}\n".encode(errors="backslashreplace")
    )
    details = f"details: {log.path}" if log.path else log.trouble
    return f"{what} because of an internal error ({text}); {details}"


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001 -- an error whose own words fail must not hide where it came from
        return f"its text is not available: {type(another).__name__}"
