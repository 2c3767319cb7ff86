"""A folder of checkpoints, as ``icltui demo train --checkpoints`` leaves one: a model in each subfolder ``step-N``."""

import re
from pathlib import Path

from icltui.storage.paths import typed_path

_STEP = re.compile(r"step-?(\d+)")


def step_of(revision: str) -> int | None:
    """The number of steps that a revision or a folder's name says.

    >>> step_of("step-512"), step_of("step1000"), step_of("main")
    (512, 1000, None)
    """
    found = _STEP.fullmatch(revision)
    return int(found[1]) if found else None


def checkpoint_folders(model: str) -> dict[str, Path]:
    """The subfolders ``step-N`` by name, by their steps; none where ``model`` is no folder or is a model itself."""
    folder = typed_path(model)
    if not folder.is_dir() or (folder / "config.json").exists():
        return {}
    steps = {entry.name: step_of(entry.name) for entry in folder.iterdir() if entry.is_dir()}
    return {name: folder / name for name, step in sorted(steps.items(), key=_by_step) if step is not None}


def _by_step(entry: tuple[str, int | None]) -> tuple[int, str]:
    name, step = entry
    return -1 if step is None else step, name
