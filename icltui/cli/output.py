"""The output of a command: its file is checked before the work and written after it; stdout holds nothing else."""

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from icltui.storage.atomic import path_is_taken
from icltui.storage.paths import real_path, shown
from icltui.system.streams import print_error, print_text
from icltui.values.errors import BadInput, reason_of


def check_output(args: argparse.Namespace) -> None:
    """Refuse a file of ``-o`` that cannot be written, before the work rather than after it."""
    if args.output is not None:
        check_writable(args.output, Path(real_path(args.output)).parent)


def check_writable(path: Path, folder: Path) -> None:
    """Refuse a file in ``folder`` that cannot be written.

    Raises:
        BadInput: it is no file, its folder is not there, or permission is denied.
    """
    real = Path(real_path(path))  # where a link leads; one that leads round and round stays one
    if real.is_dir() or real.is_symlink() or not folder.is_dir():
        raise BadInput(f"cannot write {str(path)!r}: give a file in a folder that exists")
    if not os.access(real if real.exists() else folder, os.W_OK):
        raise BadInput(f"cannot write {str(path)!r}: permission denied: choose another place")


def check_new_target(target: Path, makes_folders: bool = False) -> None:
    """Refuse, before any work, a place of ``-o`` where no new file or folder can be made.

    Raises:
        BadInput: it is taken, is ``-``, or its folder may not be written, or is not there where none is made.
    """
    if str(target) == "-":
        raise BadInput("-o - means stdout, where the report goes: name a file or folder that does not exist")
    if path_is_taken(target):
        raise BadInput(f"{shown(target)} exists already: give -o another name")
    if not makes_folders:
        check_writable(target, target.parent)
        return
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise BadInput(f"cannot write {str(target)!r}: {shown(folder)} is no folder: choose another place")
    if not os.access(folder, os.W_OK):
        raise BadInput(f"cannot write {str(target)!r}: permission denied: choose another place")


def write_text(args: argparse.Namespace, text: str) -> int:
    """Write ``text`` in UTF-8 to the file of ``-o``, or to stdout; returns exit code 0."""
    if args.output is None:
        print_text(text)
        return 0
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {str(args.output)!r}: {reason_of(error)}") from error
    return 0


def print_progress(stage: str, done: int = 0, total: int = 0) -> None:
    """The stage of long work as a line on stderr: an ``on_progress``."""
    print_error(f"{stage}: {done} of {total}" if total else stage)


def stdout_to_stderr() -> contextlib.redirect_stdout[TextIO]:
    """Send to stderr what a model's own code prints, so that stdout holds nothing but data."""
    return contextlib.redirect_stdout(sys.stderr)


def terminal_width() -> int:
    return shutil.get_terminal_size((110, 40)).columns
