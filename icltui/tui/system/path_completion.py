"""Completion of a typed path by the folders on the disk; call it in a thread, since it reads the disk."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from icltui.storage.paths import typed_path
from icltui.values.errors import BadInput

MOST = 100
"""The most folders that are listed."""


@dataclass(frozen=True)
class Folder:
    """A folder that a path may mean."""

    text: str
    """The path as one would type it: with ``~`` where that was typed, without a slash at the end."""
    is_model: bool
    """Whether it holds a config.json."""


def is_path(text: str) -> bool:
    """Whether a typed name can only be a path: ids on the Hugging Face hub begin otherwise."""
    return text.startswith(("/", ".", "~"))


def is_model(text: str) -> bool:
    """Whether the path as typed is a folder with a config.json."""
    folder = _meant(text)
    return folder is not None and os.path.isfile(folder / "config.json")


def folders(text: str) -> list[Folder]:
    """The folders whose path begins with ``text``, sorted; hidden ones only where their dot was typed."""
    head, _, start = text.rpartition("/")
    is_alone = not head and not text.startswith("/")  # ~ or .
    folder = _meant(text if is_alone else f"{head}/")
    if folder is None:
        return []
    if is_alone:
        return [Folder(text, is_model(text))] if os.path.isdir(folder) else []
    try:
        with os.scandir(folder) as entries:
            found = (entry.name for entry in entries if _is_candidate(entry, start))
            names = sorted(islice(found, MOST))
    except OSError:
        return []
    return [Folder(path, is_model(path)) for path in (f"{head}/{name}" for name in names)]


def _meant(text: str) -> Path | None:
    try:
        return typed_path(text)
    except BadInput:  # it may still be typed
        return None


def completed(text: str, candidates: list[Folder]) -> str:
    """``text`` as far as all candidates agree, with a slash where there is only one."""
    if not candidates:
        return text
    common = os.path.commonprefix([folder.text for folder in candidates])  # noqa: RUF071 (character by character is meant)
    return common + "/" if len(candidates) == 1 else common if len(common) > len(text) else text


def _is_candidate(entry: "os.DirEntry[str]", start: str) -> bool:
    name = entry.name
    if not name.startswith(start) or (name.startswith(".") and not start) or not name.isprintable():
        return False
    try:
        return entry.is_dir()
    except OSError:
        return False
