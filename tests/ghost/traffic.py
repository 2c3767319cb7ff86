"""What makes the host wait for a ghost device: reads of its numbers, and uploads from memory that is not pinned."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import icltui

Kind = Literal["read", "upload"]
_OURS = str(Path(icltui.__file__).parent)
_watching: list["Traffic"] = []


@dataclass
class Traffic:
    """The number of reads and of uploads, by the line of icltui that asks for them."""

    reads: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [
            f"{kind:7}{n:5}  {where}"
            for kind, of in (("read", self.reads), ("upload", self.uploads))
            for where, n in of.most_common()
        ]
        return "\n".join(lines)


@contextmanager
def watched() -> Iterator[Traffic]:
    """The traffic of the block, with that of its threads."""
    traffic = Traffic()
    _watching.append(traffic)
    try:
        yield traffic
    finally:
        _watching.remove(traffic)


def note(kind: Kind, operation: str) -> None:
    """Count one, where anyone watches."""
    if not _watching:
        return
    where = f"{operation} at {_place()}"
    for traffic in _watching:
        (traffic.reads if kind == "read" else traffic.uploads)[where] += 1


def _place() -> str:
    """The innermost line of the package, with the innermost line of a library where that called it."""
    frame, inner = sys._getframe(2), ""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_OURS):
            return f"{Path(path).relative_to(_OURS)}:{frame.f_lineno}{inner}"
        if not inner and "transformers" in path:
            inner = f" in {Path(path).name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return f"nowhere in icltui{inner}"
