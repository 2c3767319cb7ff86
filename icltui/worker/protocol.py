"""What the two processes say to each other: one JSON object per line, told apart by its ``say``.

Messages enter :func:`encode` and leave as a line of bytes; lines enter :func:`decode_order` (in the child)
and :func:`decode_report` (in the parent) and leave as messages.
"""

from typing import TypeVar

import msgspec

from icltui.api.messages import Event, Request
from icltui.values.bounds import Count
from icltui.values.errors import BadInput, EngineError

PROTOCOL = 3
"""Grows when an older program would no longer understand the lines."""
MARK = b'{"say":"'
"""How every message begins, and hardly any other line."""
LINE_LIMIT = 64 * 2**20
"""Longest message in bytes."""
_SHOWN = 200


class _Line(msgspec.Struct, frozen=True, tag=True, tag_field="say"):
    """Base of the messages; ``say`` on the wire is the class's name."""


class Submit(_Line, frozen=True):
    """To the child: queue a job."""

    job: Count
    request: Request


class Cancel(_Line, frozen=True):
    """To the child: stop a queued or running job."""

    job: Count


class Hello(_Line, frozen=True):
    """From the child, once and first."""

    protocol: Count
    version: str
    """Of icltui."""


class Happened(_Line, frozen=True):
    """From the child: an event of a job."""

    job: Count
    event: Event


Order = Submit | Cancel
Report = Hello | Happened
_M = TypeVar("_M")


class _Addressed(msgspec.Struct):
    job: Count


_encoder = msgspec.json.Encoder()
_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_addresses: msgspec.json.Decoder[_Addressed] = msgspec.json.Decoder(_Addressed)


def encode(message: Order | Report) -> bytes:
    """The message as one line, its newline included.

    Raises:
        BadInput: a text in it holds half a character, which neither JSON nor a tokenizer takes.
    """
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError as error:
        broken = f"U+{ord(error.object[error.start]):04X} at character {error.start + 1}"
        raise BadInput(f"the text holds half a character ({broken}): delete it") from error


def decode_order(line: bytes) -> Order:
    """The message to the child that ``line`` is.

    Raises:
        EngineError: the line is none.
    """
    return _decode(_orders, line)


def decode_report(line: bytes) -> Report:
    """The message from the child that ``line`` is.

    Raises:
        EngineError: the line is none.
    """
    return _decode(_reports, line)


def is_order(line: bytes) -> bool:
    """Whether the line is one to the child: on its way back it is an echo.

    >>> is_order(encode(Cancel(3))), is_order(encode(Hello(1, "0")))
    (True, False)
    """
    return line.startswith((b'{"say":"Submit"', b'{"say":"Cancel"'))


def addressed_job(line: bytes) -> int | None:
    """The job of a line that is otherwise not understood, so that whoever waits for it can be told."""
    try:
        return _addresses.decode(line).job
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode(decoder: msgspec.json.Decoder[_M], line: bytes) -> _M:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"line not understood: {_shown(line)} ({error})") from error


def _shown(line: bytes) -> str:
    text = ascii(line.decode("utf-8", "replace").strip())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
