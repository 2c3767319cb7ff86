"""Clients that keep a server waiting, that are too many, and that speak no HTTP."""

import asyncio
import json
import logging
import socket
from typing import Any

import pytest

from icltui.serve.http.connection import BoundedConnection
from tests.serve.http.served import heard, served
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Hasty(BoundedConnection):
    """A connection whose client has no time."""

    seconds = 0.2


class Small(BoundedConnection):
    """A connection that may have one other beside it."""

    most = 2


class Application:
    """One that reads a request to its end and counts it; ``/endless`` is answered without one."""

    def __init__(self) -> None:
        self.done = self.left = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] == "/early":
            await self._answer(send, b"early")
            return
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            self.left += 1
            return
        if scope["path"] == "/endless":
            await self._endless(receive, send)
        else:
            await self._answer(send, b"ok")

    async def _answer(self, send: Any, body: bytes) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})
        self.done += 1

    async def _endless(self, receive: Any, send: Any) -> None:
        gone = asyncio.create_task(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 2**16, "more_body": True})
            await asyncio.sleep(0)
        self.left += 1


def error_of(answer: bytes) -> tuple[int, str]:
    """Status and code of the one error in ``answer``."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"content-type") == 1
    assert b"content-type: application/json" in head
    told = json.loads(body)["error"]
    assert set(told) == {"code", "message"}
    assert "\n" not in told["message"]
    return int(head.split()[1]), told["code"]


@pytest.mark.parametrize(
    "piece",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: lo", POST + b"Content-Length: 9\r\n\r\n{", CHUNKED + b"5\r\nab"],
    ids=["nothing", "a letter", "half a header", "half a body", "half a chunk"],
)
async def test_half_a_request_is_waited_for_and_then_refused(piece: bytes) -> None:
    app = Application()
    async with served(app, Hasty) as port:
        assert error_of(await heard(port, piece)) == (408, "request_timeout")
        assert await heard(port, LAST) != b""
    assert app.done == 1


async def test_a_client_that_drips_has_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    async with served(Application(), Hasty) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST)
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"X-Drip: 1\r\n")
            await asyncio.sleep(0.01)
        assert error_of(await answer) == (408, "request_timeout")
        writer.close()
    assert not caplog.records or max(record.levelno for record in caplog.records) < logging.ERROR


async def test_a_body_that_goes_on_after_the_answer_ends_too() -> None:
    async with served(Application(), Hasty) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED.replace(b"POST /", b"POST /early"))
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b"5\r\nabcde\r\n")
            await asyncio.sleep(0.01)
        assert answer.exception() or b"early" in answer.result()
        writer.close()


async def test_a_reader_who_never_reads_is_left() -> None:
    app = Application()
    async with served(app, Hasty) as port:
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(GET.replace(b"GET /", b"GET /endless"))
        await until(lambda: app.left)
        client.close()


async def test_an_answer_that_takes_long_is_waited_for() -> None:
    """It is the server's turn, however little time the client has."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await receive()
            await asyncio.sleep(3 * Hasty.seconds)
            await Application()._answer(send, b"late")

    async with served(slow, Hasty) as port:
        assert (await heard(port, LAST)).endswith(b"late")


async def test_one_connection_serves_many_requests() -> None:
    app = Application()
    async with served(app) as port:
        answer = await heard(port, GET * 20, GET, LAST)
    assert answer.count(b"HTTP/1.1 200") == app.done == 22


async def test_more_connections_than_may_be_are_refused() -> None:
    async with served(Application(), Small) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in kept:
            writer.write(GET)
        for reader, _ in kept:
            await reader.readuntil(b"ok")
        refused = await heard(port)
        assert error_of(refused) == (503, "busy")
        assert b"\r\nretry-after: 5\r\n" in refused
        assert error_of(await heard(port, GET * 1000)) == (503, "busy")
        with socket.create_connection(("127.0.0.1", port)) as eager:
            eager.sendall(GET)  # there before the server knows of the connection
            assert error_of(await heard(port)) == (503, "busy")  # and so the other one was refused before
            assert error_of(eager.recv(2**16)) == (503, "busy")
            assert eager.recv(1) == b""  # an end, and no reset
        for _, writer in kept:
            writer.close()
        await until_answered(port)


async def until_answered(port: int) -> None:
    while b"200" not in await heard(port, LAST):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00" * 100,
        b"\xff\xfe\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /é HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 10**7 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10**5 + b"\r\n",
        b"GET /" + b"x" * 10**6 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999999\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"nothing\r\n",
        CHUNKED + b"ffffffffffffffffffffffff\r\n",
    ],
    ids=lambda request: repr(request[:40]),
)
async def test_what_is_no_http_is_told_so(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    async with served(app) as port:
        answer = await heard(port, request_)
        assert error_of(answer) == (400, "bad_request")
        assert (await heard(port, LAST)).endswith(b"ok")
    assert app.done == 1
    assert all(record.exc_info is None for record in caplog.records)


async def test_what_is_no_http_in_the_middle_of_an_answer_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    app = Application()
    async with served(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED.replace(b"POST /", b"POST /early"))
        await reader.readuntil(b"early")
        writer.write(b"no chunk at all\r\n")
        assert await reader.read() == b""
        writer.close()
        assert (await heard(port, LAST)).endswith(b"ok")
    assert all(record.exc_info is None for record in caplog.records)


async def test_an_answer_after_a_refusal_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    is_refused = asyncio.Event()
    app = Application()

    async def late(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await is_refused.wait()
            await app._answer(send, b"late")

    async with served(late) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED + b"no chunk at all\r\n")
        told = await reader.readuntil(b"}}")
        is_refused.set()
        await until(lambda: app.done)
        writer.close()
        assert error_of(told + await reader.read()) == (400, "bad_request")
    assert all(record.exc_info is None for record in caplog.records)
