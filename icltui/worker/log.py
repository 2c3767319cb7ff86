"""The log of a child's other output, and its last lines, made safe to show."""

import asyncio
import re

from icltui.system.log_file import LogFile

_TAIL_LINES, _TAIL_BYTES, _LINE_LENGTH = 20, 64 * 2**10, 300
CHUNK = 2**16
"""Most bytes read from a child at once."""
REST = 0.005
"""Seconds of rest after a whole chunk, so that endless output takes neither all of the processor nor of the disk."""
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -~])")


class ProcessLog:
    """The output of one child that is no message: its stderr, and the rest of its stdout."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._tail = b""

    async def take(self, data: bytes) -> None:
        """Log ``data`` without blocking the event loop on the disk."""
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        await asyncio.to_thread(self._file.write, data)
        if len(data) >= CHUNK // 2:
            await asyncio.sleep(REST)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Log ``stream`` until it ends."""
        while data := await stream.read(CHUNK):
            await self.take(data)

    def tail(self) -> tuple[str, ...]:
        """The last lines, without control sequences."""
        lines = map(plain_line, self._tail.decode("utf-8", "replace").splitlines())
        return tuple([line for line in lines if line][-_TAIL_LINES:])


def plain_line(line: str) -> str:
    """The line without control sequences, cut to a bearable length."""
    line = _ESCAPE_SEQUENCE.sub("", line.replace("\t", "    "))
    return "".join(c for c in line if c.isprintable()).rstrip()[:_LINE_LENGTH]
