"""An application on a real server in this process, and what a bare socket hears of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from icltui.serve.http.connection import BoundedConnection
from tests.waiting import until


@contextlib.asynccontextmanager
async def served(app: Any, connection: type[BoundedConnection] = BoundedConnection) -> AsyncIterator[int]:
    """``app`` on a port of the loopback address, which is given."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=connection, ws="none", loop="asyncio", log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        try:
            await until(lambda: server.started or task.done())
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def heard(port: int, *pieces: bytes, is_ended: bool = False) -> bytes:
    """All that the server says to ``pieces``, until it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if is_ended:
            writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
