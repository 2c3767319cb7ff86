"""An error as the answer to an HTTP request: ``{"error": {"code": …, "message": …}}``, whatever refused it.

What nobody foresaw is told in the same form, and never with a traceback.
"""

import http
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from icltui.values.errors import Busy, IcltuiError

RETRY_SECONDS = 5
"""Seconds after which one who was told that the server is busy may ask again."""
JSON_TYPE = "application/json"


class ToldError(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: str
    """The error's name for programs."""
    message: str
    """One line: what is wrong, what was needed, what to do."""


class ErrorForm(msgspec.Struct, frozen=True):
    """An answer that tells an error."""

    error: ToldError


def error_json(error: IcltuiError) -> bytes:
    """``error`` in JSON."""
    return msgspec.json.encode(ErrorForm(ToldError(error.code, str(error))))


def refuse(error: IcltuiError, headers: Mapping[str, str]) -> Response:
    """The answer that tells ``error``, with more ``headers``."""
    retry = {"retry-after": str(RETRY_SECONDS)} if isinstance(error, Busy) else {}
    return _response(error.http_status, error_json(error), {**retry, **headers})


def fault(status: int, message: str, headers: Mapping[str, str] | None = None) -> HTTPException:
    """The error of a request that is none of HTTP's or of JSON's; its code is the status in words."""
    return HTTPException(status, message, headers)


def fault_json(status: int, message: str) -> bytes:
    """Such an error in JSON.

    >>> fault_json(408, "the body does not come")
    b'{"error":{"code":"request_timeout","message":"the body does not come"}}'
    """
    return msgspec.json.encode(ErrorForm(ToldError(http.HTTPStatus(status).name.lower(), message)))


async def tell_error(_request: Request, error: Exception) -> Response:
    """Starlette's handler of our own errors."""
    assert isinstance(error, IcltuiError)
    return refuse(error, {})


async def tell_fault(request: Request, error: Exception) -> Response:
    """Starlette's handler of faults, its own among them."""
    assert isinstance(error, HTTPException)
    message, headers = error.detail, dict(error.headers or {})
    if error.status_code == 404:
        message = f"there is nothing at {request.url.path[:80]!r}: /openapi.json lists what there is"
    elif error.status_code == 405:
        message = f"{request.method[:20]} is not answered here: use {headers.get('Allow', 'another method')}"
    return _response(error.status_code, fault_json(error.status_code, message), headers)


async def tell_crash(_request: Request, _error: Exception) -> Response:
    """Starlette's handler of what nobody foresaw, whose words stay here."""
    return refuse(IcltuiError("the server failed: its log says how"), {})


def _response(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(body + b"\n", status, dict(headers), JSON_TYPE)
