"""Sessions: a prompt, its settings and all that was measured, as one JSON file.

A :class:`Session` enters :func:`write_session` and leaves :func:`read_session`, equal to the last digit. What
else is in a file is a :class:`SessionError`: nothing is guessed, and nothing is dropped.
"""

import contextlib
import json
import math
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from icltui.errors import BadInput, SessionError
from icltui.folders import example_sessions, is_example, make_folder, sessions_folder, shown, state_folder
from icltui.pretty import pretty
from icltui.prompt import Prompt, resolve_layers
from icltui.recipe import Recipe, Sampling, check_recipe, check_sampling
from icltui.record import (
    Dynamics,
    Generation,
    Measurement,
    ModelInfo,
    Pairs,
    Reference,
    Verification,
)

__all__ = [
    "FORMAT",
    "Session",
    "example_sessions",
    "is_example",
    "read_session",
    "session_title",
    "sessions_folder",
    "state_folder",
    "write_session",
]

FORMAT = 3
"""Grows when an older program could no longer read the file. Older files are read; what they lack takes its default."""
SIZE_LIMIT = 256 * 2**20
"""Largest file in bytes that is read or written."""
_COUNTLESS = 2**31
_MESSAGE = 400


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """All that one file holds."""

    format: int = FORMAT
    title: str = ""
    created: str = msgspec.field(default_factory=_now)
    """Time in UTC, ISO 8601."""
    prompt: Prompt
    layers: str = "all"
    """As :func:`icltui.prompt.resolve_layers` reads it."""
    recipe: Recipe = Recipe()
    sampling: Sampling = Sampling()
    holdout: tuple[str, ...] = ()
    """Other queries behind the same context, that the patch is tested on."""
    n_tokens: int = 12
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    model: ModelInfo | None = None
    """What the numbers below were measured on."""
    measurement: Measurement | None = None
    generation: Generation | None = None
    verification: Verification | None = None


def read_session(path: Path) -> Session:
    """The session in the file.

    Raises:
        SessionError: there is no such file, or it is not a whole and consistent session of this format.
    """
    try:
        document = _parse(_read(path))
        _check_format(document)
        _migrate(document)
        session = msgspec.convert({**document, "format": FORMAT}, Session)
        _check_nothing_lost(document, msgspec.to_builtins(session), "$")
        _check_consistent(session)
    except msgspec.ValidationError as error:
        message = f"is damaged: {_plain(error)}: mend it there or restore a copy"
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
        _check_consistent(session)
        data = pretty(session).encode() + b"\n"
        if len(data) > SIZE_LIMIT:
            raise SessionError(f"it would have {len(data):,} bytes, more than {SIZE_LIMIT:,}")
        _replace(Path(os.path.realpath(path)), data)
    except (SessionError, ValueError) as error:
        raise SessionError(f"cannot save {shown(path)}: {error}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SessionError(f"cannot save {shown(path)}: {reason}: choose another place") from error


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
        reason = getattr(error, "strerror", None) or str(error)
        raise SessionError(f"cannot be read: {reason.lower()}: check its name") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SessionError(f"is damaged: byte {error.start + 1} is not text: restore a copy") from error


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
    """The JSON object; of a name that stands in it twice, one value would be lost."""
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


def _migrate(document: dict[str, Any]) -> None:
    """Formats 1 and 2 had ``mode`` and ``components`` where a recipe is now."""
    if document["format"] > 2:
        return
    for holder in (document, document.get("generation")):
        if isinstance(holder, dict):
            moved = {name: holder.pop(name) for name in ("mode", "components") if name in holder}
            if moved:
                holder["recipe"] = moved


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


def _check_consistent(session: Session) -> None:
    """Refuse what no run of the program could have made, so that a view need not expect it."""
    n_layers = session.model.n_layers if session.model else _COUNTLESS
    problem = _problem(session, n_layers) or _problem_of_patch(session)
    refused = {layer.layer: layer.reason for layer in session.model.refused} if session.model else {}
    try:
        if session.layers.strip().lower() not in ("all", "none", "last"):
            resolve_layers(session.layers, min(n_layers, 10_000), refused)
    except (BadInput, ValueError) as error:
        problem = problem or str(error)
    if problem:
        raise SessionError(f"does not fit together: {problem}: correct it or restore a copy")


def _problem(session: Session, n_layers: int) -> str | None:
    if not 1 <= session.n_tokens < _COUNTLESS:
        return f"n_tokens is {session.n_tokens}"
    if not 1 <= n_layers <= _COUNTLESS:
        return f"the model has {n_layers} layers"
    if not session.prompt.unit:
        return "the prompt's unit is empty"
    refused = [layer.layer for layer in session.model.refused] if session.model else []
    if not all(0 <= layer < n_layers for layer in refused):
        return f"layers {refused} were refused of a model of {n_layers}"
    if len({*refused}) < len(refused) or len(refused) == n_layers:
        return f"layers {refused} were refused, each once and not all of {n_layers}"
    for done, layers in _layers_worked_on(session).items():
        if list(layers) != sorted({*layers} - {*refused}) or not all(
            0 <= layer < n_layers for layer in layers
        ):
            without = f" without layers {refused}" if refused else ""
            return f"layers {list(layers)} were {done} on a model of {n_layers}{without}"
    if session.generation and not session.generation.agreement.keys() <= session.generation.lanes.keys():
        return "a lane is compared that was not generated"
    if session.verification and not {"plain", "patched"} <= session.verification.logits.keys():
        return "the proof lacks the plain or the patched logits"
    return _problem_of_measurement(session.measurement) if session.measurement else None


def _problem_of_patch(session: Session) -> str | None:
    """What no patch can be made by, or no text drawn by."""
    made: list[Session | Generation] = [session, *([session.generation] if session.generation else [])]
    try:
        for one in made:
            check_recipe(one.recipe)
            check_sampling(one.sampling)
            if not all(one.holdout):
                return "a held-out query is empty"
    except BadInput as error:
        return str(error)
    return None


def _layers_worked_on(session: Session) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    if session.measurement:
        found["measured"] = session.measurement.layers
    if session.generation:
        found["patched"] = session.generation.layers
    if session.verification:
        found["proved"] = [check.layer for check in session.verification.layers]
    return found


def _problem_of_measurement(measured: Measurement) -> str | None:
    units = range(len(measured.tokens.units) + 1)
    cells = Counter((row.unit, row.layer) for row in measured.rows)
    if [unit.index for unit in measured.tokens.units] != list(units[1:]):
        return "the units are not numbered 1, 2, 3, …"
    for unit, layer in cells:
        if unit not in units or layer not in measured.layers or cells[unit, layer] > 1:
            return f"a row for unit {unit} at layer {layer}"
    predicted = Counter(prediction.unit for prediction in measured.predictions)
    for prediction in measured.predictions:
        if prediction.unit not in units or not prediction.top or predicted[prediction.unit] > 1:
            return f"a prediction for unit {prediction.unit} of {len(prediction.top)} tokens"
    compared = [pairs.layer for pairs in measured.pairs]
    if len({*compared} & {*measured.layers}) < len(compared):
        return f"units were compared at layers {compared}, of {list(measured.layers)}"
    if not all(_is_square(pairs, len(measured.tokens.units)) for pairs in measured.pairs):
        return f"units were compared that are not the {len(measured.tokens.units)} of the context"
    return None


def _is_square(pairs: Pairs, n_units: int) -> bool:
    return all(
        len(matrix) == n_units and all(len(row) == n_units for row in matrix)
        for matrix in (pairs.cosine, pairs.transfer)
    )


def _replace(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(prefix=".icltui-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
