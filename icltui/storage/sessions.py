"""Sessions: a prompt, its settings and all that was measured, as one JSON file.

A :class:`Session` enters :func:`write_session` and leaves :func:`read_session`, equal to the last digit. What
else is in a file is a :class:`SessionError`: nothing is guessed, and nothing is dropped.
"""

import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from icltui.storage.atomic import write_atomically
from icltui.storage.paths import (
    make_folder,
    real_path,
    shown,
)
from icltui.storage.session_migration import migrate
from icltui.storage.session_sharing import joined, take_sources, written_once
from icltui.storage.session_validation import check_consistent
from icltui.storage.text_file import decode_utf8, utf8_problem
from icltui.text.pretty_json import pretty
from icltui.values import FORMAT, Session
from icltui.values.errors import SessionError, reason_of

SIZE_LIMIT = 256 * 2**20
"""Largest file in bytes that is read or written."""
_MESSAGE = 400


def read_session(path: Path) -> Session:
    """The session in the file.

    Raises:
        SessionError: there is no such file, or it is not a whole and consistent session of this format.
    """
    try:
        document = _parse(_read(path))
        _check_format(document)
        migrate(document)
        sources = take_sources(document)
        session = msgspec.convert(document, Session)
        _check_nothing_lost(document, msgspec.to_builtins(session), "$")
        session = joined(session, sources)
        check_consistent(session)
    except msgspec.ValidationError as error:
        message = f"is damaged: {_plain(error)}: fix it there or restore a copy"
        raise SessionError(f"{shown(path)} {message}") from error
    except UnicodeEncodeError as error:  # a choice, such as a mode, compared with those there are
        message = "is damaged: half a character is where a choice must be: restore a copy"
        raise SessionError(f"{shown(path)} {message}") from error
    except SessionError as error:
        raise SessionError(f"{shown(path)} {_plain(error)}") from error
    return session


def write_session(path: Path, session: Session) -> None:
    """Put the session into the file: whole or not at all, for its owner's eyes only.

    Raises:
        SessionError: it cannot be written, or could not be read back; what was in the file is still there.
    """
    try:
        check_consistent(session)
        data = pretty(written_once(session)).encode() + b"\n"
        if len(data) > SIZE_LIMIT:
            raise SessionError(f"it would have {len(data):,} bytes, more than {SIZE_LIMIT:,}")
        _replace(Path(real_path(path)), data)
    except (SessionError, ValueError) as error:
        raise SessionError(f"cannot save {shown(path)}: {error}") from error
    except OSError as error:
        raise SessionError(f"cannot save {shown(path)}: {reason_of(error)}: choose another place") from error


def session_title(path: Path) -> str:
    """What a session is called where it has no title of its own: its file's name."""
    return "".join(c if c.isprintable() else "?" for c in path.name.removesuffix(".json"))


def _read(path: Path) -> str:
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise SessionError("is a folder: name a session file in it")
        if not stat.S_ISREG(facts.st_mode):
            raise SessionError("is not a file: name a session file")
        if facts.st_size > SIZE_LIMIT:
            raise SessionError(f"has {facts.st_size:,} bytes: a session has at most {SIZE_LIMIT:,}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise SessionError(f"cannot be read: {reason_of(error)}: check its name") from error
    try:
        return decode_utf8(data)
    except UnicodeDecodeError as error:
        raise SessionError(f"is damaged: {utf8_problem(error)}: restore a copy") from error


def _parse(text: str) -> dict[str, Any]:
    if not text.strip():
        raise SessionError("is empty: restore a copy")
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_doubles)
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = "is cut off" if is_cut else "is damaged"
        where = f"at line {error.lineno}, column {error.colno}"
        raise SessionError(f"{what} {where} ({error.msg.lower()}): restore a copy") from error
    except (ValueError, RecursionError) as error:
        raise SessionError(f"is damaged: {error}: restore a copy") from error
    if not isinstance(document, dict):
        raise SessionError("is not an icltui session: it holds no JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The JSON object; a name that is in it twice is refused, since one value would be lost."""
    document = dict(pairs)
    if len(document) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"it holds {ascii(name)[:80]} twice in one place")
    return document


def _plain(error: Exception) -> str:
    """The error in one line of some hundred characters, whatever it quotes from the file."""
    text = "".join(c if c.isprintable() else "?" for c in str(error))
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE // 2]} … {text[-_MESSAGE // 2 :]}"


def _check_format(document: dict[str, Any]) -> None:
    number = document.get("format")
    if type(number) is not int or number < 1:
        raise SessionError('is not an icltui session: "format" must be a number from 1')
    if number > FORMAT:
        raise SessionError(
            f"was written by a newer icltui (format {number}; this one reads {FORMAT}): update icltui"
        )


def _check_nothing_lost(found: Any, understood: Any, where: str) -> None:
    """Refuse names that no field has, which would be gone after the next save, and infinite numbers."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key not in understood:
                raise SessionError(
                    f"holds {ascii(key)[:80]} at {where}, which this icltui does not know: "
                    "correct the name or update icltui"
                )
            _check_nothing_lost(value, understood[key], f"{where}.{key}")
    elif isinstance(found, list):
        for index, pair in enumerate(zip(found, understood, strict=True)):
            _check_nothing_lost(*pair, f"{where}[{index}]")
    elif isinstance(found, float) and not math.isfinite(found):
        raise SessionError(f"is damaged: the number at {where} is too large: restore a copy")


def _replace(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    if path.exists() and (not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK)):
        raise SessionError(
            "it is read-only: choose another name"
        )  # though the folder would let it be replaced
    write_atomically(path, data)
