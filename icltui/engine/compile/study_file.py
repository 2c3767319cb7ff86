"""What a self-study has written so far, in a file of the user's state folder, so that one that stops goes on.

Enters: what a study depends on. Leaves: a :class:`StudyFile`: the attempts so far, in order. The same study writes the
same texts, so that the file only spares time: one that is damaged, or cannot be written, costs nothing but that.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from icltui.engine.compile.study_templates import VERSION
from icltui.engine.compile.written_text import Reason
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.storage.atomic import write_atomically
from icltui.storage.paths import make_folder, state_folder
from icltui.values.errors import SessionError

MOST_ATTEMPTS = 1024
_MOST_BYTES = 2**22
_MOST_FILES = 64
"""Studies that are kept, the newest."""


class Attempt(msgspec.Struct, frozen=True):
    """One text that the model wrote: a query, or why it is none."""

    query: str
    dropped: Reason | None = None


@dataclass
class StudyFile:
    """The attempts of one study, kept after each."""

    path: Path | None
    """None where there is no folder to write to."""
    attempts: list[Attempt] = field(default_factory=list)
    is_damaged: bool = False
    """Whether there was a file that could not be read: it is begun anew."""

    def begin_anew_at(self, number: int) -> None:
        """Drop what is from attempt ``number`` on, as it cannot be what the model wrote."""
        self.is_damaged = True
        del self.attempts[number:]

    def add(self, attempt: Attempt) -> None:
        """Keep one more."""
        self.attempts.append(attempt)
        if self.path is not None:
            with contextlib.suppress(OSError):
                write_atomically(self.path, msgspec.json.encode(self.attempts))


def open_study(loaded: LoadedModel, ids: Ids, chat: bool, seed: int) -> StudyFile:
    """The file of the study of these tokens by this model with this seed."""
    key = (VERSION, fingerprint(loaded.model), str(loaded.dtype), ids.prefix, ids.context, chat, seed)
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    try:
        folder = state_folder() / "self-study"
        make_folder(folder)
    except (OSError, SessionError):
        return StudyFile(None)
    path = folder / f"{name}.json"
    _remove_oldest(folder, path)
    try:
        with path.open("rb") as file:
            attempts = msgspec.json.decode(file.read(_MOST_BYTES), type=list[Attempt])
    except FileNotFoundError:
        return StudyFile(path)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return StudyFile(path, is_damaged=True)
    return StudyFile(path, attempts[:MOST_ATTEMPTS])


def _remove_oldest(folder: Path, besides: Path) -> None:
    with contextlib.suppress(OSError):
        files: Sequence[Path] = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in [path for path in files if path != besides][: -_MOST_FILES + 1]:
            path.unlink()
