"""Completion of a typed path by the folders and files on the disk; call it in a thread, as it reads the disk."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from icltui.storage.paths import typed_path
from icltui.values.errors import BadInput

MOST = 100
"""The most folders and files that are listed."""
MOST_LOOKED_AT = 1000
"""The most entries of a folder among which a GGUF file is looked for."""
ENDING = ".gguf"


@dataclass(frozen=True)
class ModelPath:
    """A folder or a file that a path may mean."""

    text: str
    """The path as one would type it: with ``~`` where that was typed, without a slash at the end."""
    is_model: bool
    """Whether it is a GGUF file, or holds one or a config.json."""
    is_file: bool = False


def is_path(text: str) -> bool:
    """Whether a typed name can only be a path: ids on the Hugging Face hub begin otherwise."""
    return text.startswith(("/", ".", "~"))


def is_model(text: str) -> bool:
    """Whether the path as typed is a GGUF file, or a folder with one or with a config.json."""
    path = _meant(text)
    if path is None:
        return False
    return _is_gguf(path) or os.path.isfile(path / "config.json") or _holds_gguf(path)


def _is_gguf(path: Path) -> bool:
    return path.suffix == ENDING and os.path.isfile(path)


def _holds_gguf(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(ENDING) for entry in islice(entries, MOST_LOOKED_AT))
    except OSError:
        return False


def candidates(text: str, ending: str = ENDING) -> list[ModelPath]:
    """Folders, and files with this ending, whose path begins with ``text``, sorted; hidden ones where their dot was
    typed.
    """
    head, _, start = text.rpartition("/")
    is_alone = not head and not text.startswith("/")  # ~ or .
    folder = _meant(text if is_alone else f"{head}/")
    if folder is None:
        return []
    if is_alone:
        return [_candidate(text, ending)] if os.path.isdir(folder) else []
    try:
        with os.scandir(folder) as entries:
            found = (entry.name for entry in entries if _is_candidate(entry, start, ending))
            names = sorted(islice(found, MOST))
    except OSError:
        return []
    return [_candidate(f"{head}/{name}", ending) for name in names]


def _candidate(text: str, ending: str) -> ModelPath:
    path = _meant(text)
    return ModelPath(text, ending == ENDING and is_model(text), is_file=path is not None and path.is_file())


def _meant(text: str) -> Path | None:
    try:
        return typed_path(text)
    except BadInput:  # it may still be typed
        return None


def completed(text: str, found: list[ModelPath]) -> str:
    """``text`` as far as all candidates agree, with a slash where there is only one, a folder."""
    if not found:
        return text
    common = os.path.commonprefix([each.text for each in found])  # noqa: RUF071 (character by character is meant)
    if len(found) == 1:
        return common if found[0].is_file else common + "/"
    return common if len(common) > len(text) else text


def _is_candidate(entry: "os.DirEntry[str]", start: str, ending: str) -> bool:
    name = entry.name
    if not name.startswith(start) or (name.startswith(".") and not start) or not name.isprintable():
        return False
    try:
        return entry.is_dir() or (name.endswith(ending) and entry.is_file())
    except OSError:
        return False
