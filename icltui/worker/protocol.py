"""The messages between the two processes: one JSON object per line, whose ``say`` is the name of its class.

:func:`encode` turns a message into a line; :func:`decode_client_message`, in the child, and
:func:`decode_server_message`, in the parent, turn a line into a message.
"""

from typing import TypeVar

import msgspec

from icltui.api.messages import Event, Request
from icltui.values.bounds import Count
from icltui.values.errors import BadInput, EngineError

PROTOCOL = 3
"""Version of the lines; raised when an older program would not understand them."""
MARK = b'{"say":"'
"""How every message begins, and hardly any other line."""
LINE_LIMIT = 64 * 2**20
"""Longest message in bytes."""
_SHOWN = 200


class _Line(msgspec.Struct, frozen=True, tag=True, tag_field="say"):
    """Base of the messages; ``say`` on the wire is the class's name."""


class Submit(_Line, frozen=True):
    """Client to server: queue a job."""

    job: Count
    request: Request


class Cancel(_Line, frozen=True):
    """Client to server: stop a queued or running job."""

    job: Count


class Hello(_Line, frozen=True):
    """Server to client, once and first."""

    protocol: Count
    version: str
    """The server's version of icltui."""


class Happened(_Line, frozen=True):
    """Server to client: an event of a job."""

    job: Count
    event: Event


ClientMessage = Submit | Cancel
ServerMessage = Hello | Happened
_M = TypeVar("_M")


class _Addressed(msgspec.Struct):
    job: Count


_encoder = msgspec.json.Encoder()
_orders: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_reports: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
_addresses: msgspec.json.Decoder[_Addressed] = msgspec.json.Decoder(_Addressed)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """The message as one line, its newline included.

    Raises:
        BadInput: a text in it holds half a character, which neither JSON nor a tokenizer takes.
    """
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError as error:
        broken = f"U+{ord(error.object[error.start]):04X} at character {error.start + 1}"
        raise BadInput(f"the text holds half a character ({broken}): delete it") from error


def decode_client_message(line: bytes) -> ClientMessage:
    """The message to the server in ``line``.

    Raises:
        EngineError: the line is no such message.
    """
    return _decode(_orders, line)


def decode_server_message(line: bytes) -> ServerMessage:
    """The message to the client in ``line``.

    Raises:
        EngineError: the line is no such message.
    """
    return _decode(_reports, line)


def is_client_message(line: bytes) -> bool:
    """Whether ``line`` is a message to the server; one that the client receives is an echo.

    >>> is_client_message(encode(Cancel(3))), is_client_message(encode(Hello(1, "0")))
    (True, False)
    """
    return line.startswith((b'{"say":"Submit"', b'{"say":"Cancel"'))


def job_of(line: bytes) -> int | None:
    """The job that an otherwise broken line names, so that its sender gets an answer."""
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
