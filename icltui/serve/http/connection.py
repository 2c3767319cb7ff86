"""One connection to a client, bounded in number and in how long it may keep the server waiting.

uvicorn waits for the end of a request as long as the client likes, and answers in plain text what is no HTTP. Here each
client has so many seconds at a time in which it is its turn, and is told what is wrong as in every other answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from icltui.serve.http.error_answer import JSON_TYPE, RETRY_SECONDS, error_json, fault_json
from icltui.values.errors import Busy


class BoundedConnection(H11Protocol):  # type: ignore[misc]
    """A connection of uvicorn that ends where its client keeps it waiting.

    The client's turn is while a request is under way, and while an answer waits to be read.
    """

    seconds = 30.0
    """How long the client's turn may take at a time."""
    most = 256
    """Connections at once; a process may usually hold 1024 files."""

    lingering = 5.0
    """How long the rest of a refused request passes by, unkept: to close earlier would take the answer back."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._turn: asyncio.TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(LingeringTransport(transport, self._is_sending, self._linger))
        if len(self.connections) > self.most:
            busy = Busy(f"{self.most} connections are open: ask again later")
            self._refuse(busy.http_status, error_json(busy))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return  # refused already
        super().data_received(data)
        self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's words, where ours say more
        self._refuse(
            400, fault_json(400, "this is no request in HTTP/1.1, or its headers are longer than 16 KiB")
        )

    def _is_sending(self) -> bool:
        """Whether the client may be in the middle of a request."""
        return self._is_refused or self.conn.their_state is h11.SEND_BODY

    def _linger(self) -> None:
        self._stop_waiting()
        self._turn = self.loop.call_later(self.lingering, self.transport.abort)

    def _wait(self) -> None:
        """Begin to count the client's seconds where it is its turn, and leave off where it is not."""
        is_arriving = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if not (is_arriving or self.flow.write_paused or self.transport.is_closing()):
            self._stop_waiting()
        elif self._turn is None:
            self._turn = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _give_up(self) -> None:
        self._turn = None
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        else:
            told = f"the request did not come within {self.seconds:g} s: send it at once"
            self._refuse(408, fault_json(408, told))
            self._wait()

    def _refuse(self, status: int, body: bytes) -> None:
        """Say what is wrong, unless an answer is under way, and end the connection."""
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application's own answer comes too late
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            length = ("content-length", str(len(body)))
            headers = [("content-type", JSON_TYPE), length, ("connection", "close")]
            if status == Busy.http_status:
                headers.append(("retry-after", str(RETRY_SECONDS)))
            head = h11.Response(status_code=status, headers=headers)
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class LingeringTransport:
    """A transport that, when it is closed while its peer sends, ends its own side first.

    The rest is received and dropped. A socket that is closed with something unread in it resets the connection, and the
    peer loses what it has not read yet.

    Args:
        transport: the transport.
        is_peer_sending: tells whether there may be something unread.
        on_linger: called once the transport's own side has ended; it ends the other after some time.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        is_peer_sending: Callable[[], bool],
        on_linger: Callable[[], object],
    ) -> None:
        self._transport, self._is_peer_sending, self._on_linger = transport, is_peer_sending, on_linger
        self._is_lingering = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """End the transport, or its own side first."""
        if self.is_closing():
            return
        if not (self._is_peer_sending() and self._transport.can_write_eof()):
            self._transport.close()
            return
        self._is_lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._on_linger()
