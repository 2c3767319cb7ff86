"""The file that a typed path means, and whether one that is there may be overwritten."""

import os
from pathlib import Path
from typing import Any

from textual.app import App

from icltui.storage.paths import typed_path
from icltui.tui.dialogs.confirm import OVERWRITE, ConfirmDialog
from icltui.values.errors import BadInput


def file_to_write(text: str, suffix: str, *, is_suffix_fixed: bool = False) -> Path:
    """The path that ``text`` means: ``~`` is the home folder; without an ending it gets ``suffix``.

    Args:
        text: as typed.
        suffix: an ending, or nothing.
        is_suffix_fixed: whether another ending than ``suffix`` gets it too.

    Raises:
        BadInput: it names a folder that is there, or nothing, or no file can have that name.
    """
    text = text.strip()
    if not text:
        raise BadInput("no name: type a path")
    path = typed_path(text)
    is_folder = text.endswith(("/", "\\")) or os.path.isdir(path)
    if not is_folder and (path.suffix != suffix if is_suffix_fixed else not path.suffix):
        path = path.with_name(path.name + suffix)
        is_folder = os.path.isdir(path)
    if is_folder:
        raise BadInput("that is a folder: add a file name")
    return path


async def may_overwrite(app: App[Any], path: Path) -> bool:
    """Ask whether the file at ``path`` may be overwritten."""
    question = ConfirmDialog(f"{path.name} exists. Overwrite it?", OVERWRITE)
    return await app.push_screen_wait(question) == "Overwrite"
