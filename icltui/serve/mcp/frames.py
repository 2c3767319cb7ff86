"""Standard input and output of a server of agents: whole frames of bounded length, one on each line.

The mcp library parses the lines and drops, without a word, what is no message; here such a line is answered, so that
nobody waits, and a line without an end is never held. Reads and writes block threads that end with the process: a
client that neither reads nor goes away keeps nothing alive.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

import mcp_types
from pydantic import ValidationError

from icltui.values.errors import RequestTooLarge

_CHUNK = 2**16


class BlockingCalls:
    """Calls that block, one after another in a thread that does not keep the process alive."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], Any]) -> Any:
        """What ``call`` gives; where the caller is cancelled it goes on by itself."""
        future = asyncio.get_running_loop().create_future()
        self._calls.put((call, future))
        return await future

    def _work(self) -> None:
        while True:
            call, future = self._calls.get()
            result: Any = None
            error: Exception | None = None
            try:
                result = call()
            except Exception as caught:  # noqa: BLE001 (raised where it is awaited)
                error = caught
            try:
                future.get_loop().call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:  # the loop is closed: nobody waits
                return


def _settle(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class FrameOutput:
    """Lines to a stream, each written whole; has what the mcp library calls of a file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._calls = stream, BlockingCalls("frames out")

    async def write(self, line: str) -> None:
        """Write one line, its end included.

        Raises:
            OSError: the client reads no more.
        """
        data = line.encode("utf-8", "backslashreplace")
        await self._calls.run(lambda: (self._stream.write(data), self._stream.flush()))

    async def flush(self) -> None:
        """Nothing: each line is flushed."""


class FrameInput:
    """The messages of a stream, line by line; answers the lines that are none.

    Args:
        stream: where the client writes.
        output: where a line that is no message is answered.
        limit: the most bytes of a line.
    """

    def __init__(self, stream: BinaryIO, output: FrameOutput, limit: int) -> None:
        self._stream, self._output, self._limit = stream, output, limit
        self._calls = BlockingCalls("frames in")

    def __aiter__(self) -> "FrameInput":
        return self

    async def __anext__(self) -> str:
        while line := await self._calls.run(self._read):
            if not line.strip():
                continue
            if (fault := self._fault(line)) is None:
                return str(line, "utf-8", "replace")
            error = mcp_types.JSONRPCError(jsonrpc="2.0", id=None, error=fault)
            await self._output.write(error.model_dump_json(by_alias=True, exclude_unset=True) + "\n")
        raise StopAsyncIteration

    def _read(self) -> bytes:
        """The next line; of one that is too long only so much that this is seen. Empty at the end."""
        line = self._stream.readline(self._limit + 2)
        if len(line) > self._limit:
            last = line
            while last and not last.endswith(b"\n"):
                last = self._stream.readline(_CHUNK)
        return line

    def _fault(self, line: bytes) -> "mcp_types.ErrorData | None":
        if len(line.rstrip(b"\r\n")) > self._limit:
            words = f"a line has more than {self._limit:,} bytes: shorten the context"
            return mcp_types.ErrorData(
                code=mcp_types.INVALID_REQUEST, message=f"{RequestTooLarge.code}: {words}"
            )
        try:
            mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValidationError as error:
            is_json = all(fault["type"] != "json_invalid" for fault in error.errors(include_input=False))
            if is_json:
                return mcp_types.ErrorData(
                    code=mcp_types.INVALID_REQUEST, message="the line is no JSON-RPC 2.0 message"
                )
            return mcp_types.ErrorData(code=mcp_types.PARSE_ERROR, message="the line is not JSON")
        return None
