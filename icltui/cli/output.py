"""Where a command's text goes: checked before the work, written after it, with nothing else among it."""

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from icltui.storage.paths import real_path
from icltui.system.streams import print_text
from icltui.values.errors import BadInput, reason_of


def check_output(args: argparse.Namespace) -> None:
    """Refuse the file of ``-o`` if it could not be written, before the work rather than after it."""
    if args.output is not None:
        check_place(args.output, Path(real_path(args.output)).parent)


def check_place(path: Path, folder: Path) -> None:
    """Refuse a file that could not be written, once ``folder`` holds it.

    Raises:
        BadInput: something else is there, or no folder, or neither may be written.
    """
    real = Path(real_path(path))  # where a link leads; one that leads round and round stays one
    if real.is_dir() or real.is_symlink() or not folder.is_dir():
        raise BadInput(f"cannot write {str(path)!r}: give a file in a folder that exists")
    if not os.access(real if real.exists() else folder, os.W_OK):
        raise BadInput(f"cannot write {str(path)!r}: permission denied: choose another place")


def write_text(args: argparse.Namespace, text: str) -> int:
    """The text into the file that was asked for, else to stdout; in UTF-8 wherever it goes."""
    if args.output is None:
        print_text(text)
        return 0
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {str(args.output)!r}: {reason_of(error)}") from error
    return 0


def quiet() -> contextlib.redirect_stdout[TextIO]:
    """Whatever a model's own code prints goes to stderr, so that stdout holds nothing but data."""
    return contextlib.redirect_stdout(sys.stderr)


def width() -> int:
    return shutil.get_terminal_size((110, 40)).columns
