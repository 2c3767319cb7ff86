"""Where sessions, logs and autosaves live, where the examples are, and what a typed path means.

Each folder is made for its owner only.
"""

import errno
import os
import re
from pathlib import Path
from typing import Literal

import platformdirs

from icltui.values.errors import BadInput, SessionError, reason_of

_SHOWN = 120
"""Characters of a path in a message."""


def typed_path(text: str) -> Path:
    """The path that a person means by ``text``; every typed path goes through here. ``~`` is a home folder.

    Raises:
        BadInput: no file can have that name, there is no such user, or the current folder is gone.
    """
    try:
        path = os.path.expanduser(text)
        if not os.path.isabs(path):
            os.getcwd()
        os.lstat(path)
    except UnicodeError:
        raise BadInput(f"{_short(text)}: it contains half a character: type another name") from None
    except ValueError:
        raise BadInput(f"{_short(text)}: it contains a NUL, which no file name can hold") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise BadInput(
                f"{_short(text)}: {len(text):,} characters, longer than a path can be: type a shorter one"
            ) from None
        if error.filename is None:
            raise BadInput(
                f"{_short(text)}: the current folder is gone: give a path from / on, or change folder"
            ) from None
    if path.startswith("~"):
        user = path[1:].partition(os.sep)[0]
        raise BadInput(f"{_short(text)}: no user {_short(user)} here: write ./~ where a name begins with ~")
    return Path(path)


def file_path(text: str) -> str:
    """The absolute path that a person means by ``text``, as a session keeps it; empty: none.

    Raises:
        BadInput: see :func:`typed_path`.
    """
    return os.path.abspath(typed_path(text)) if text else ""


def _short(text: str) -> str:
    return ascii(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!a}…"


def real_path(path: Path) -> str:
    """Where the path leads; the path itself where that depends on a current folder that is gone."""
    try:
        return os.path.realpath(path)
    except OSError:
        return os.fspath(path)


def sessions_folder() -> Path:
    """Where sessions are saved: ``./sessions`` where that folder exists, else in the user's data folder."""
    here = Path("sessions")
    return here if here.is_dir() else user_folder("data") / "sessions"


def user_folder(kind: Literal["cache", "config", "data", "state"]) -> Path:
    """The platform's folder of the kind; where no home is known (a container's user), one that cannot exist."""
    paths = {
        "cache": platformdirs.user_cache_path,
        "config": platformdirs.user_config_path,
        "data": platformdirs.user_data_path,
        "state": platformdirs.user_state_path,
    }
    try:
        return paths[kind]("icltui")
    except RuntimeError:
        return Path(os.devnull, "icltui")


def state_path() -> Path:
    """Where logs and autosaves go, whether it is there or not."""
    return user_folder("state")


def state_folder() -> Path:
    """The folder for logs and autosaves, made if need be.

    Raises:
        SessionError: it cannot be made.
    """
    folder = state_path()
    try:
        if not folder.is_absolute():  # "~" itself, where no home folder is known
            raise OSError("it is not an absolute path")
        make_folder(folder)
    except OSError as error:
        raise SessionError(
            f"cannot make the folder {shown(folder)}: {reason_of(error)}: set XDG_STATE_HOME to one that can be written"
        ) from error
    return folder


_PACKAGE = Path(__file__).resolve().parent.parent
MODEL_DIR = _PACKAGE / "demo" / "model"
"""The embedded model's folder: ``config.json``, ``model.safetensors``, ``tokenizer.json``, ``evaluation.json``."""
BACKGROUND = _PACKAGE / "background.txt"
"""The text that is ordinary where neither the user nor the model has one."""
EXAMPLES = {
    "contradicted-capital": "one false sentence turns the next token; patched weights say the same",
    "nonce-mapping": "made-up words, known from the context alone: nothing was learnt before",
    "entity-story": "the last move counts: which tokens tell the model where Mia is",
    "linear-function": "numbers go on by a rule that only the context shows",
    "months": "a rule that this small model hardly has: the first answer stays",
    "control": "a context about something else: weights move, the answer does not",
    "labels": "one patch made from 25 queries answers others: it carries over, and says where not",
}
"""The sessions that come with the program, in the order in which a newcomer should open them: name, what it shows."""


def example_sessions() -> tuple[Path, ...]:
    """Those of :data:`EXAMPLES` that exist."""
    paths = (examples_folder() / f"{name}.json" for name in EXAMPLES)
    return tuple(path for path in paths if path.is_file())


def is_example(path: Path) -> bool:
    """Whether the file is one of those that come with the program."""
    real = Path(real_path(path))
    # In a checkout the user's own sessions may lie beside the examples.
    return real.stem in EXAMPLES and real.parent == Path(os.path.realpath(examples_folder()))


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, each for its owner only (``parents=True`` would do so for the last)."""
    for part in (*reversed(folder.parents), folder):
        if not part.is_dir():
            part.mkdir(mode=0o700, exist_ok=True)


def file_slug(text: str) -> str:
    """``text`` as a part of a file's name: letters, digits and what joins them, 60 at most."""
    return re.sub(r"[^\w.-]+", "-", text)[:60]


def unused_path(folder: Path, title: str, ending: str = ".json") -> Path:
    """A path in ``folder`` at which there is nothing yet, named after ``title``."""
    stem = file_slug(title) or "untitled"
    names = (folder / f"{stem}{'' if n == 1 else f'-{n}'}{ending}" for n in range(1, 1000))
    return next((path for path in names if not os.path.lexists(path)), folder / f"{stem}{ending}")


def shown(path: Path) -> str:
    """The path as a message may hold it: on one line, whatever is in it."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def examples_folder() -> Path:
    """Where the examples are: in the package, or beside it in a checkout."""
    packaged = _PACKAGE / "sessions"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "sessions"
