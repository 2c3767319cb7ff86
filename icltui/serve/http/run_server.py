"""A desk served over HTTP by uvicorn, until a signal ends it."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from icltui.serve.http.connection import BoundedConnection
from icltui.serve.http.listen import BACKLOG, let_again
from icltui.serve.job_desk import JobDesk

LAST_WORDS = 2
"""Seconds that clients have to read what they were told when the server ended."""


class DeskServer(uvicorn.Server):  # type: ignore[misc]
    """uvicorn, whose end ends the desk first: whoever waits is told so, and nobody is waited for."""

    def __init__(self, config: uvicorn.Config, desk: JobDesk, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._desk, self._on_ready = desk, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._desk.close()
        await super().shutdown(sockets)


async def run_server(
    desk: JobDesk, app: ASGIApp, listening: socket.socket, on_ready: Callable[[], object]
) -> None:
    """Serve ``app`` until SIGINT or SIGTERM, each of which is raised again once everything has ended.

    Args:
        desk: the desk behind ``app``; it is open.
        app: the application.
        listening: a bound socket.
        on_ready: called once clients can connect.
    """
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=LAST_WORDS,
    )
    let_again(listening)
    await DeskServer(config, desk, on_ready).serve([listening])
