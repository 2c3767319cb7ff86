"""The three streams of a command: data leaves by stdout, and either all of it arrives or the command says so."""

import contextlib
import io
import os
import sys
from typing import TextIO

from icltui.values.errors import BadInput, reason_of


def print_text(text: str) -> None:
    """Write ``text`` to stdout, in UTF-8, its last line ended; the one way by which any data gets there.

    Raises:
        BadInput: stdout is closed, or takes nothing more.
        BrokenPipeError: whoever reads it has seen enough.
    """
    if sys.stdout is None:
        raise BadInput("cannot write to stdout: it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        leave_stdout()
        raise
    except OSError as error:
        leave_stdout()
        raise BadInput(f"cannot write to stdout: {reason_of(error)}") from error


def tell(text: str) -> None:
    """Write a line to stderr, where that can be done: what is said of a fault must not be another."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is there; a stream that is closed is None, or says so."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def open_closed() -> None:
    """Lead a closed stdin and stderr to nowhere, and a closed stdout's number.

    Else the next file that is opened would take the number, and with it what is printed; and what is said to a stderr
    that is None goes to stdout.
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


def leave_stdout() -> None:
    """Send to nowhere what is still on its way, else the interpreter would try once more as it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
