"""What a child says for the record: all of it into the log, and its last lines made fit to be shown."""

import asyncio
import re

from icltui.system.log_file import LogFile

_TAIL_LINES, _TAIL_BYTES, _LINE_LENGTH = 20, 64 * 2**10, 300
CHUNK = 2**16
"""Bytes that are taken at once from a child."""
REST = 0.005
"""Seconds after a whole chunk: what a child says without end must neither fill the processor nor the disk's time."""
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -~])")


class ChildLog:
    """The words of one child: its stderr, and what it says on the wire that is no message."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._tail = b""

    async def take(self, data: bytes) -> None:
        """Keep ``data``; the disk is not waited for in the event loop."""
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        await asyncio.to_thread(self._file.write, data)
        if len(data) >= CHUNK // 2:
            await asyncio.sleep(REST)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Keep all that comes from ``stream``, until it ends."""
        while data := await stream.read(CHUNK):
            await self.take(data)

    def tail(self) -> tuple[str, ...]:
        """The last lines, without anything that a terminal would act on."""
        lines = map(plain_line, self._tail.decode("utf-8", "replace").splitlines())
        return tuple([line for line in lines if line][-_TAIL_LINES:])


def plain_line(line: str) -> str:
    """The line without anything that a terminal would act on, and cut to a bearable length."""
    line = _ESCAPE_SEQUENCE.sub("", line.replace("\t", "    "))
    return "".join(c for c in line if c.isprintable()).rstrip()[:_LINE_LENGTH]
