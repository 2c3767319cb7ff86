"""Separates the output of a child: lines that are messages, and whatever a library or a login prints between them.

Chunks of bytes enter; pieces leave, each either one message or no part of any. Memory stays bounded either way.
"""

import asyncio

from icltui.values.errors import EngineError
from icltui.worker.log import CHUNK
from icltui.worker.protocol import LINE_LIMIT, MARK


class LineReader:
    """Reads ``stream`` piece by piece."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._searched = 0
        """Bytes at the buffer's start that hold no line end."""
        self._is_line_start = True

    async def read(self) -> tuple[bytes, bool]:
        """The next piece, empty at the end; and whether it begins a line.

        A piece that begins with :data:`~icltui.worker.protocol.MARK` is one line, its end included: a message, unless
        it is broken or a quotation inside a foreign line. A message that its writer died over is dropped.

        Raises:
            EngineError: a message is longer than ``LINE_LIMIT``.
        """
        while not (piece := self._next()):
            data = await self._stream.read(CHUNK)
            if not data:
                piece = b"" if self._buffer.startswith(MARK) else self._take(len(self._buffer))
                self._buffer.clear()
                break
            self._buffer += data
        is_line_start, self._is_line_start = self._is_line_start, piece.endswith(b"\n")
        return piece, is_line_start

    def _next(self) -> bytes:
        """A piece of the buffer; empty if more bytes are needed."""
        start = self._buffer.find(MARK)
        if start == 0:
            return self._message()
        if start > 0:
            return self._take(start)
        if end := self._buffer.rfind(b"\n") + 1:
            return self._take(end)
        # The rest of a mark may come yet.
        return self._take(len(self._buffer) - len(MARK) + 1) if len(self._buffer) > CHUNK else b""

    def _message(self) -> bytes:
        end = self._buffer.find(b"\n", self._searched)
        if end >= 0:
            return self._take(end + 1)
        self._searched = len(self._buffer)
        if self._searched <= LINE_LIMIT:
            return b""
        if self._is_line_start:
            raise EngineError(f"the engine sent a line of more than {LINE_LIMIT} bytes")
        return self._take(self._searched)

    def _take(self, length: int) -> bytes:
        piece = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._searched = 0
        return piece
