"""The standard streams of a command: data goes to stdout completely, or the command fails with a reason."""

import contextlib
import io
import os
import sys
from typing import TextIO

from icltui.values.errors import BadInput, reason_of


def print_text(text: str) -> None:
    """Write ``text`` to stdout in UTF-8, with a line end after it; no data gets there in another way.

    Raises:
        BadInput: stdout is closed or full.
        BrokenPipeError: the reader has closed it.
    """
    if sys.stdout is None:
        raise BadInput("cannot write to stdout: it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
        raise
    except OSError as error:
        discard_stdout()
        raise BadInput(f"cannot write to stdout: {reason_of(error)}") from error


def print_error(text: str) -> None:
    """Write a line to stderr; a stderr that cannot be written to is ignored."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def is_terminal(stream: TextIO | None) -> bool:
    """Whether ``stream`` is a terminal; False if it is closed."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed.

    Otherwise the next file that is opened takes its number, and with it what is printed; and a stderr that is None
    would send errors to stdout. A closed stdout stays None.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 -- for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def discard_stdout() -> None:
    """Discard buffered output, which the interpreter would otherwise try to write again at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
