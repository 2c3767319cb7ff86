"""One line for each request that was answered: who, what, how, how long; never what was in it."""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from icltui.serve.http.request_body import ClientGone
from icltui.text.escape import visible

_LONGEST = 60


class AccessLog:
    """An application whose requests are told.

    Args:
        app: the application.
        tell: takes a line.
        tell_crash: takes what nobody foresaw, which ends that request alone.
    """

    def __init__(
        self, app: ASGIApp, tell: Callable[[str], object], tell_crash: Callable[[Exception], object]
    ) -> None:
        self._app, self._tell, self._tell_crash = app, tell, tell_crash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = "-", time.monotonic()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientGone:
            status = "200 (left)" if status == "200" else "- (left)"  # and no fault of the server
        except Exception as error:  # noqa: BLE001 -- unforeseen: its client was told, its traceback is for the log
            self._tell_crash(error)
        finally:
            self._tell(f"{_sender(scope)} {_what(scope)} {status} {time.monotonic() - began:.2f} s")


def _sender(scope: Scope) -> str:
    return str((scope.get("client") or ["-"])[0])


def _what(scope: Scope) -> str:
    """Method and address without its parameters, which may be somebody's text."""
    return visible(f"{scope['method'][:10]} {scope['path'][:_LONGEST]}")
