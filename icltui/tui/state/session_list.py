"""The list of sessions to open: the user's own, the last one first, then the examples. Without Textual.

Paths and facts enter; entries leave, in the order of the list, and what each says in words.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from icltui.storage.paths import EXAMPLES, example_sessions, real_path, sessions_folder
from icltui.storage.recent_sessions import recent_sessions
from icltui.storage.session_index import SessionFacts
from icltui.storage.sessions import session_title


@dataclass(frozen=True, kw_only=True)
class SessionEntry:
    """One session of the list."""

    path: Path
    moment: float = 0.0
    """When the user last opened or saved it, or the file was last written, in seconds since 1970."""
    facts: SessionFacts | None = None
    """None: not looked into yet."""
    lesson: str = ""
    """What an example shows; empty: the user's own."""

    @property
    def is_example(self) -> bool:
        """Whether it comes with the program."""
        return bool(self.lesson)

    @property
    def name(self) -> str:
        """What it is called: its file's name."""
        return session_title(self.path)

    def with_facts(self, facts: SessionFacts) -> "SessionEntry":
        """The entry, once its file was looked into."""
        return replace(self, facts=facts)

    def holds(self, words: Sequence[str]) -> bool:
        """Whether each of the lower-case words is in its name, model, note, texts or lesson."""
        text = "\n".join((self.name, self.lesson, self.facts.text if self.facts else "")).lower()
        return all(word in text for word in words)

    def when(self, now: datetime) -> str:
        """When it was last used."""
        return "example" if self.is_example else moment_words(self.moment, now)

    def remark(self) -> str:
        """The model and the note, or what an example shows; of a file that cannot be read why."""
        if self.facts and self.facts.fault:
            return self.facts.fault
        if self.is_example or self.facts is None:
            return self.lesson
        return " · ".join(filter(None, (os.path.basename(self.facts.model), self.facts.note)))


def known_sessions() -> list[SessionEntry]:
    """The user's sessions, the last used first, then the examples; each file once. It reads folders, but no file."""
    examples = example_sessions()
    shipped = {*map(real_path, examples)}
    folder, moments = sessions_folder(), dict[str, tuple[float, Path]]()
    for path in folder.glob("*.json") if folder.is_dir() else ():
        moments[real_path(path)] = _written(path), path
    for path, moment in recent_sessions().items():
        if (real := real_path(path)) in moments or os.path.isfile(path):
            written, known = moments.get(real, (0.0, path))
            moments[real] = max(moment, written), known
    own = [
        SessionEntry(path=path, moment=moment)
        for real, (moment, path) in moments.items()
        if real not in shipped
    ]
    own.sort(key=lambda entry: entry.moment, reverse=True)
    return [*own, *(SessionEntry(path=path, lesson=EXAMPLES[path.stem]) for path in examples)]


def _written(path: Path) -> float:
    """The time of the last change; 0 of a file that is gone or of a broken link."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def moment_words(seconds: float, now: datetime) -> str:
    """A moment in seconds since 1970 on the user's clock: the hour of the last days, then the date.

    >>> moment_words(datetime(2026, 3, 4, 18, 2).timestamp(), datetime(2026, 3, 5, 9))
    'yesterday 18:02'
    >>> moment_words(datetime(2026, 1, 4, 18, 2).timestamp(), datetime(2026, 3, 5, 9))
    '4 Jan 18:02'
    """
    try:
        moment = datetime.fromtimestamp(seconds)
    except (OverflowError, ValueError, OSError):  # a file's time can be any number
        return "unknown"
    days = (now.date() - moment.date()).days
    if days == 0:
        return f"today {moment:%H:%M}"
    if days == 1:
        return f"yesterday {moment:%H:%M}"
    if 1 < days < 7:
        return f"{moment:%A %H:%M}"
    return f"{moment.day} {moment:%b %H:%M}" if moment.year == now.year else f"{moment.day} {moment:%b %Y}"
