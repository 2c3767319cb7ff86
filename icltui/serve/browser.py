"""The explorer in a browser: each page that is opened is an explorer of its own, with its own engine, on this machine.

textual-serve runs the program and passes keys and cells on. Whoever reaches the address acts as the user who started
it, so a page of another origin is refused, and so is a name that somebody else may have pointed here (DNS rebinding).
"""

import shlex
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from socket import gethostname
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from icltui.serve.http.access import is_loopback, names_this_machine
from icltui.values.errors import BadInput, reason_of

MOST_VISITORS = 4
"""Explorers at once: each holds a model."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BrowserServer(Server):
    """Serves the explorer that ``command`` starts, at ``host`` and ``port``.

    Args:
        command: the words of the program.
        host: the address to listen on.
        port: its port.
        on_ready: called with the address once it can be opened.
    """

    def __init__(self, command: Sequence[str], host: str, port: int, on_ready: Callable[[str], None]) -> None:
        super().__init__(shlex.join(command), host, port, title="icltui")
        self._on_ready, self._is_local, self._n_visitors = on_ready, is_loopback(host), 0

    def run(self) -> None:
        """Serve until a signal.

        Raises:
            BadInput: the address cannot be listened on.
        """
        try:
            web.run_app(self._make_app(), host=self.host, port=self.port, print=None)
        except OSError as error:
            raise BadInput(
                f"{self.host}:{self.port} cannot be listened on: {reason_of(error)}: give another HOST:PORT"
            ) from error

    async def on_startup(self, app: web.Application) -> None:
        """Say where it can be opened, and nothing else."""
        del app
        self._on_ready(self.public_url)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._checked)
        return app

    @web.middleware
    async def _checked(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse who comes by way of another page or name."""
        if not self._is_own_name(request.host):
            ways = "127.0.0.1 or localhost" if self._is_local else "its number, or serve on this name"
            raise web.HTTPForbidden(text=f"the address names another machine: open {ways}\n")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            raise web.HTTPForbidden(text="a page of another origin may not use the explorer\n")
        return await handler(request)

    def _is_own_name(self, authority: str) -> bool:
        """Whether a page can have this name only as this machine's: of the network a number, or a name without a dot.

        A name with a dot is whoever's domain it is in, unless it is the one that the server was given.
        """
        if self._is_local:
            return names_this_machine(f"http://{authority}".encode())
        try:
            name = urlsplit(f"//{authority}").hostname or ""
        except ValueError:
            return False
        return "." not in name or is_number(name) or name in (self.host.lower(), gethostname().lower())

    async def handle_index(self, request: web.Request) -> Any:
        """The page, whose addresses are those by which it was reached: a tunnel's port may be another."""
        self.public_url = f"{request.scheme}://{request.host}"
        return await super().handle_index(request)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One explorer, as long as there are not too many."""
        if self._n_visitors >= MOST_VISITORS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_VISITORS} explorers are open: close one\n")
        self._n_visitors += 1
        try:
            return await super().handle_websocket(request)
        finally:
            self._n_visitors -= 1


def is_number(host: str) -> bool:
    """Whether the host is an address of numbers, for which no name server is asked."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
