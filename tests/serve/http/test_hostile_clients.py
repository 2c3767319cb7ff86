"""Clients that mistreat a server over a bare socket, each with the token, another one, and none.

Each is told what is wrong in the one form where an answer is possible; others are answered, nothing reaches the engine
without the token, and no traceback is written.
"""

import asyncio
import json
import os
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from icltui.api.limits import Limits
from icltui.api.messages import LoadModel
from icltui.serve.http.addresses import ANALYZE
from icltui.serve.http.connection import BoundedConnection
from tests.serve.http.served import heard, served
from tests.serve.http.test_application import Server, serving
from tests.serve.http.test_connection import error_of
from tests.waiting import until

TOKEN = "correct-horse"
GOOD = b'{"context": "one two", "query": " so"}'
TOKENS = [TOKEN, "wrong-horse", None]
LIMITS = Limits(body_bytes=2**16, queue=300)


class Hasty(BoundedConnection):
    """A connection whose client has little time."""

    seconds = lingering = 0.5


class Curt(Hasty):
    """One that also lets the rest of a refused request pass by for a moment only."""

    lingering = 0.1


def head(token: str | None, address: str = ANALYZE, method: str = "POST", *lines: str) -> bytes:
    """A request's head, without its end."""
    own = [] if token is None else [f"Authorization: Bearer {token}"]
    return "\r\n".join([f"{method} {address} HTTP/1.1", "Host: localhost", *own, *lines, ""]).encode()


def post(token: str | None, body: bytes, kind: str = "application/json", address: str = ANALYZE) -> bytes:
    """A whole request, after which the connection ends."""
    lines = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", "")
    return head(token, address, "POST", *lines) + body


@asynccontextmanager
async def mistreated(
    token: str | None, caplog: pytest.LogCaptureFixture, connection: type[BoundedConnection] = Hasty
) -> AsyncIterator[tuple[Server, int]]:
    """A server; in the end others are answered, nothing was let in, and nothing went wrong in it."""
    async with serving(LIMITS, TOKEN) as server, served(server.app, connection) as port:
        yield server, port
        if token != TOKEN:
            assert all(isinstance(request, LoadModel) for request in server.engine.requests)
        assert b"200 OK" in await heard(port, post(TOKEN, GOOD))
        await until(lambda: server.desk.n_jobs == 0)
    assert [record for record in caplog.records if record.exc_info] == []


def refused(answer: bytes, token: str | None, status: int, code: str) -> None:
    """The answer refuses: what was asked, or already whoever asked."""
    assert error_of(answer) == ((status, code) if token == TOKEN else (401, "unauthorized"))


BODIES = [
    (b"", 400, "bad_request"),
    (b"\x00" * 100, 400, "bad_request"),
    (b'{"query": "a\x00b"}', 400, "bad_request"),
    (b'{"query": "\xff\xfe"}', 400, "bad_request"),
    (b'{"query": "\\ud800"}', 400, "bad_request"),
    (b"[" * 30_000, 400, "bad_request"),
    (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "bad_request"),
    (b'{"query": NaN}', 400, "bad_request"),
    (b'{"query": " so", "pairs": Infinity}', 400, "bad_request"),
    (b'{"query": " so", "layers": 1e400}', 400, "bad_request"),
    (b'{"query": " so", "layers": ' + b"9" * 60_000 + b"}", 400, "bad_request"),
    (b'{"query": " so", "layers": 12345678901234567890123}', 422, "bad_input"),
    (b'{"query": " so", "__class__": {"a": 1}}', 422, "bad_input"),
    (b"{" + b",".join(b'"%d":0' % at for at in range(6000)) + b"}", 422, "bad_input"),
    (b"{" + b",".join(b'"%d":0' % at for at in range(10**6)) + b"}", 413, "too_large"),
    (b'"query"', 422, "bad_input"),
    (b"null", 422, "bad_input"),
    (GOOD + b"{}", 400, "bad_request"),
    (b'{"query": " so", "background": "/etc/passwd"}', 422, "bad_input"),
    (b'{"query": "' + b"x" * 2**20 + b'"}', 413, "too_large"),
]


@pytest.mark.parametrize("token", TOKENS)
async def test_bodies(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog) as (_, port):
        for body, status, code in BODIES:
            refused(await heard(port, post(token, body)), token, status, code)


async def test_what_a_web_page_may_send_is_no_json(caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(TOKEN, caplog) as (server, port):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "*/*"):
            answer = await heard(port, post(TOKEN, GOOD, kind))
            assert error_of(answer) == (415, "unsupported_media_type")
            assert b"access-control" not in answer.lower()
        assert not server.engine.requests[1:]


async def test_of_a_key_that_is_given_twice_the_last_counts(caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(TOKEN, caplog) as (_, port):
        answer = await heard(port, post(TOKEN, b'{"query": " so", "query": " no"}'))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["query_tokens"][0]["text"] == " no"


@pytest.mark.parametrize("token", [TOKEN, pytest.param(None, marks=pytest.mark.soak)])
async def test_a_body_without_end(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    before = psutil.Process().memory_info().rss
    async with mistreated(token, caplog, Curt) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            head(token, ANALYZE, "POST", "Content-Type: application/json", "Transfer-Encoding: chunked", "")
        )
        answer = asyncio.create_task(reader.readuntil(b"}}"))
        with pytest.raises(ConnectionError):
            await send_for_ever(writer)
        refused(await answer, token, 413, "too_large")
        writer.close()
    assert psutil.Process().memory_info().rss - before < 2**26


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("token", TOKENS)
async def test_a_body_shorter_than_said(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog) as (_, port):
        whole = post(token, GOOD).replace(b"Content-Length: ", b"Content-Length: 9")
        refused(await heard(port, whole), token, 408, "request_timeout")


async def test_a_body_longer_than_said(caplog: pytest.LogCaptureFixture) -> None:
    """The rest is no request, and cannot become the one of another client."""
    async with mistreated(TOKEN, caplog) as (_, port):
        answer = await heard(port, post(TOKEN, GOOD).replace(b"Connection: close\r\n", b""), b"}}}\r\n\r\n")
        assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)] == [200, 400]


@pytest.mark.parametrize("token", TOKENS)
async def test_requests_one_behind_the_other(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog, BoundedConnection) as (server, port):
        one = post(token, GOOD).replace(b"Connection: close\r\n", b"")
        answer = await heard(port, one * 30 + post(token, GOOD))
        statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)]
        assert statuses == ([200] * 31 if token == TOKEN else [401] * 31)
        assert server.desk.n_jobs == 0


@pytest.mark.parametrize("token", TOKENS)
async def test_two_hundred_at_once(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog, BoundedConnection) as (_, port):
        answers = await asyncio.gather(*(heard(port, post(token, GOOD)) for _ in range(200)))
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200" if token == TOKEN else b"HTTP/1.1 401"}


ADDRESSES = [
    ("GET", "//health", 404),
    ("GET", "/health/", 404),
    ("GET", "/health/../openapi.json", 404),
    ("GET", "/v1/../health", 404),
    ("GET", "/../../../../etc/passwd", 404),
    ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
    ("GET", "/%00", 404),
    ("GET", "/%ff%fe", 404),
    ("GET", "/he%61lth%0d%0aX: y", 400),
    ("GET", "http://evil.example/health", 404),
    ("GET", "*", 404),
    ("GET", ANALYZE, 405),
    ("POST", "/V1/GENERATE", 404),
    ("OPTIONS", ANALYZE, 405),
    ("TRACE", ANALYZE, 405),
    ("CONNECT", "evil.example:443", 404),
    ("CONNECT", ANALYZE, 405),
    ("PRI", "*", 404),
    ("X" * 1000, ANALYZE, 405),
]


@pytest.mark.parametrize("token", TOKENS)
async def test_addresses_and_methods(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog) as (_, port):
        for method, address, status in ADDRESSES:
            answer = await heard(port, head(token, address, method, "Connection: close", ""))
            expected = status if token == TOKEN or status == 400 else 401
            assert error_of(answer)[0] == expected, (method, address)
            assert b"evil.example" not in answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize("token", TOKENS)
async def test_http_1_0(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog) as (_, port):
        old = post(token, GOOD).replace(b"HTTP/1.1", b"HTTP/1.0")
        assert (b" 200 " if token == TOKEN else b" 401 ") in (await heard(port, old)).split(b"\r\n")[0]


async def test_upgrades_are_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(None, caplog) as (_, port):
        more = (
            "Upgrade: websocket",
            "Connection: Upgrade, close",
            "Sec-WebSocket-Key: x",
            "Sec-WebSocket-Version: 13",
        )
        answer = await heard(port, head(None, "/v1/generate", "GET", *more, ""))
        assert error_of(answer) == (401, "unauthorized")


@pytest.mark.parametrize("token", TOKENS)
async def test_a_reset_in_the_middle(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async with mistreated(token, caplog) as (server, port):
        for n_sent in (10, 120, 250, None) * 3:
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(post(token, GOOD, address=f"{ANALYZE}?stream=true")[:n_sent])
            await asyncio.sleep(0)
            client.close()
        await until(lambda: server.desk.n_jobs == 0)


async def test_a_stream_that_nobody_reads_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps({"context": "one two " * 4000, "query": " so"}).encode()
    async with mistreated(TOKEN, caplog) as (_, port):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(post(TOKEN, body, address=f"{ANALYZE}?stream=true"))
        assert b"200 OK" in await heard(port, post(TOKEN, GOOD))
        await until(lambda: n_connections(port) == 0)
        client.close()


def n_connections(port: int) -> int:
    """Connections that this process's server holds open."""
    return sum(
        found.laddr and found.laddr.port == port and found.status == psutil.CONN_ESTABLISHED
        for found in psutil.Process(os.getpid()).net_connections("tcp")
    )
