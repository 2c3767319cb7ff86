"""An answer sent piece by piece, each when the client has room for it, and given up when it leaves."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.types import Receive, Send

from icltui.serve.http.request_body import ClientGone

PIECE = 2**16
"""Bytes that are sent at once."""
_T = TypeVar("_T")


async def send_pieces(send: Send, headers: Mapping[str, str], pieces: AsyncGenerator[bytes, None]) -> None:
    """Answer with status 200. No more than a piece waits for a slow reader; the connection ends one that stalls."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    async with aclosing(pieces):
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def in_pieces(text: bytes) -> AsyncGenerator[bytes, None]:
    """``text`` in pieces of :data:`PIECE` bytes."""
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """What ``work`` returns; it is cancelled as soon as the client leaves.

    Raises:
        ClientGone: it left first.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})
        if not working.cancelled():
            working.exception()  # of no interest where the client has left


async def _left(receive: Receive) -> None:
    """Return once the client has left, its request having been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
