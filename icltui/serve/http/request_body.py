"""The body of an HTTP request as a JSON object, of which no more is read than the limits allow.

How long it may take to come is the connection's matter, which also lets the rest pass by, unkept, for some seconds: a
client that is cut off while it sends would not read why.
"""

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from icltui.serve.http.error_answer import JSON_TYPE, fault
from icltui.values.errors import BadInput, RequestTooLarge


class ClientGone(Exception):
    """The client has left: there is nobody to answer."""


async def read_object(request: Request, most: int) -> dict[str, Any]:
    """The JSON object of at most ``most`` bytes that is the body of ``request``.

    Raises:
        RequestTooLarge: it has more bytes; the rest is not read.
        BadInput: it is JSON, but no object.
        HTTPException: it is no JSON, or says that it is none.
        ClientGone: the client left before its end.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        raise fault(415, f"the body is {kind[:80] or 'of no type'}: send {JSON_TYPE}")
    try:
        return _object(await _read(request, most))
    except ClientDisconnect:
        raise ClientGone from None


async def _read(request: Request, most: int) -> bytes:
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > most:
        raise _too_large(most)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"the body has more than {most:,} bytes: send less")


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise fault(400, f"the body is no JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise BadInput(f"the body is a JSON {_KINDS.get(type(value), 'value')}: send an object of options")
    return value


_KINDS: dict[type, str] = {list: "array", str: "string", int: "number", float: "number", bool: "boolean"}
