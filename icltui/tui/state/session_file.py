"""The file's side of the session on the screen: its title, its path, and whether another program has written it."""

from dataclasses import dataclass
from pathlib import Path

from icltui.values import Session

UNTITLED = "untitled"


@dataclass(frozen=True, kw_only=True)
class Document:
    """The file's side of a session; its numbers live in ``Results``, its choices in ``RunSettings``."""

    title: str = UNTITLED
    path: Path | None = None
    """The file it was read from or written to."""
    created: str = ""
    stamp: tuple[int, ...] | None = None
    """The :func:`stamp_of` the file when it was read or written last."""

    @property
    def is_overtaken(self) -> bool:
        """Whether another program has written the file since."""
        return self.path is not None and stamp_of(self.path) not in (None, self.stamp)


def stamp_of(path: Path) -> tuple[int, ...] | None:
    """Facts of a file that change when it is written; None if there is no file."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size


def document_of(session: Session, path: Path | None) -> Document:
    """The file's side of ``session``."""
    title = session.title or (path.stem if path else UNTITLED)
    stamp = stamp_of(path) if path else None
    return Document(title=title, path=path, created=session.created, stamp=stamp)
