"""The operations over HTTP: answers, streams of events, errors in one form, and clients who leave."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from icltui import __version__
from icltui.api.collect import Collected
from icltui.api.limits import Limits
from icltui.api.messages import LoadModel, Measure, Progress, PromptTokenized
from icltui.api.operation import OPERATIONS
from icltui.bench.fake_engine import tokenized
from icltui.report.answer import answer_json
from icltui.serve.http import answer_text, event_stream
from icltui.serve.http.addresses import ANALYZE, address_of
from icltui.serve.http.application import application
from icltui.serve.http.send_answer import in_pieces
from icltui.serve.job_desk import JobDesk
from icltui.values import ModelInfo, Session
from icltui.values.prompt import Prompt
from tests.serve.desk_client import DeskClient
from tests.serve.http.served import served
from tests.waiting import until

BODY = {"context": "one two", "query": " so"}
MEASURE = Measure(prompt=Prompt(context="one two", query=" so"))
JSON = {"content-type": "application/json"}
EVENTS = {"accept": "text/event-stream"}


class Server:
    """An application, what it logged, and a client of it."""

    def __init__(self, engine: DeskClient, desk: JobDesk, token: str | None) -> None:
        self.engine, self.desk = engine, desk
        self.lines: list[str] = []
        self.crashes: list[Exception] = []
        self.app = application(desk, token, self.lines.append, self.crashes.append)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1")

    async def post(self, address: str = ANALYZE, body: object = BODY, **more: Any) -> httpx.Response:
        """The answer to ``body``."""
        return await self.client.post(address, json=body, **more)


@asynccontextmanager
async def serving(limits: Limits | None = None, token: str | None = None) -> AsyncIterator[Server]:
    """An application on an engine that makes up measures."""
    engine = DeskClient()
    desk = JobDesk(engine, LoadModel(), limits, patience=60)
    await desk.open()
    server = Server(engine, desk, token)
    try:
        yield server
    finally:
        await desk.close()
        assert server.crashes == []


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error."""
    assert answer.headers["content-type"] == "application/json"
    (key,) = answer.json()
    assert key == "error"
    assert set(answer.json()["error"]) == {"code", "message"}
    assert "\n" not in answer.json()["error"]["message"]
    return answer.status_code, answer.json()["error"]["code"]


def events_of(text: str) -> Iterator[tuple[str, str]]:
    """The events of a stream, read as the standard has it; comments are events of that name."""
    for block in text.split("\n\n")[:-1]:
        lines = [line.partition(":") for line in block.split("\n")]
        data = [value.removeprefix(" ") for name, _, value in lines if name == "data"]
        names = [value.removeprefix(" ") for name, _, value in lines if name == "event"]
        yield (names or ["comment"])[0], "\n".join(data)


async def expected(engine: DeskClient, model: ModelInfo | None) -> str:
    """The answer without HTTP."""
    assert model is not None
    collected = Collected(MEASURE)
    for event in engine.engine.run(MEASURE, lambda: False):
        collected.take(event)
    return answer_json(model, MEASURE, collected)


def without_seconds(text: str) -> dict[str, Any]:
    """A document but for how long it took."""
    return {key: value for key, value in json.loads(text).items() if key != "seconds"}


async def test_the_answer_is_the_commands_json(server: Server) -> None:
    answer = await server.post()
    twin = DeskClient()
    list(twin.engine.run(LoadModel(), lambda: False))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert without_seconds(answer.text) == without_seconds(await expected(twin, server.desk.model))
    assert answer.text.endswith("\n}\n")


async def test_every_operation_is_asked_at_its_address(server: Server) -> None:
    addresses = {address_of(operation) for operation in OPERATIONS}
    assert {"/v1/inference/analyze-icl", "/v1/generate", "/v1/verify"} < addresses
    assert len(addresses) == len(OPERATIONS)
    for operation in OPERATIONS:
        given = {name: BODY[name] for name in ("context", "query")}
        given |= {"queries": ["a"], "holdout": ["b", "c"]} if operation.name == "exam" else {}
        await server.post(address_of(operation), given)
        assert isinstance(server.engine.request, operation.request), operation.name


@pytest.mark.parametrize("how", [{"headers": EVENTS}, {"params": {"stream": "true"}}])
async def test_a_stream_is_the_events_and_last_the_answer(server: Server, how: dict[str, Any]) -> None:
    answer = await server.post(**how)
    assert answer.headers["content-type"] == "text/event-stream"
    events = list(events_of(answer.text))
    assert [name for name, _ in events] == ["PromptTokenized", "UnitsMeasured", "MeasureEnded", "answer"]
    assert all(msgspec.json.decode(data)["type"] == name for name, data in events[:-1])
    whole = await server.post(params={"stream": "false"}, headers=EVENTS)
    assert events[-1][1].splitlines()[:3] == whole.text.splitlines()[:3]
    assert set(json.loads(events[-1][1])) == set(whole.json())


@pytest.mark.parametrize(
    ("method", "address", "content", "headers", "error"),
    [
        ("GET", "/", b"", {}, (404, "not_found")),
        ("POST", f"{ANALYZE}/", b"{}", JSON, (404, "not_found")),
        ("POST", "/../etc/passwd", b"{}", JSON, (404, "not_found")),
        ("GET", ANALYZE, b"", {}, (405, "method_not_allowed")),
        ("DELETE", "/health", b"", {}, (405, "method_not_allowed")),
        ("POST", ANALYZE, b"{}", {}, (415, "unsupported_media_type")),
        ("POST", ANALYZE, b"a=b", {"content-type": "text/plain"}, (415, "unsupported_media_type")),
        ("POST", ANALYZE, b"", JSON, (400, "bad_request")),
        ("POST", ANALYZE, b"{", JSON, (400, "bad_request")),
        ("POST", ANALYZE, b'{"query": "\xff"}', JSON, (400, "bad_request")),
        ("POST", ANALYZE, b"[" * 100_000, JSON, (400, "bad_request")),
        ("POST", ANALYZE, b"[]", JSON, (422, "bad_input")),
        ("POST", ANALYZE, b"null", JSON, (422, "bad_input")),
        ("POST", ANALYZE, b"{}", JSON, (422, "bad_input")),
        ("POST", ANALYZE, b'{"query": 1}', JSON, (422, "bad_input")),
        ("POST", ANALYZE, b'{"query": "a", "model": "gpt2"}', JSON, (422, "bad_input")),
        ("POST", ANALYZE, b'{"query": "a", "layers": "9"}', JSON, (422, "bad_input")),
        ("POST", ANALYZE, b'{"query": "a", "figure": 1}', JSON, (422, "bad_input")),
        ("POST", "/v1/verify", b'{"query": "a", "figure": true}', JSON, (422, "bad_input")),
        ("POST", f"{ANALYZE}?figure=png", b'{"query": "a"}', JSON, (422, "bad_input")),
        ("POST", f"{ANALYZE}?layers=0", b'{"query": "a"}', JSON, (422, "bad_input")),
        ("POST", "/v1/verify", b'{"query": "a"}', JSON, (422, "bad_input")),
        ("POST", "/v1/verify?stream=true", b'{"query": "a"}', JSON, (422, "bad_input")),
    ],
)
async def test_an_error_has_one_form(
    server: Server, method: str, address: str, content: bytes, headers: dict[str, str], error: tuple[int, str]
) -> None:
    answer = await server.client.request(method, address, content=content, headers=headers)
    assert told(answer) == error
    assert server.desk.n_jobs == 0


async def test_more_than_the_limits_is_refused() -> None:
    async with serving(Limits(body_bytes=200, prompt_tokens=8, layers=1)) as server:
        assert told(await server.post(body={**BODY, "context": "a" * 200})) == (413, "too_large")
        assert told(await server.post()) == (413, "too_large")  # two layers
        assert told(await server.post(body={**BODY, "context": "a " * 20, "layers": "0"})) == (
            413,
            "too_large",
        )
        assert not any(isinstance(request, Measure) for request in server.engine.requests)
        assert (await server.post(body={**BODY, "layers": "0"})).status_code == 200


async def test_whoever_finds_the_queue_full_is_told_when_to_come_again() -> None:
    async with serving(Limits(queue=1)) as server:
        server.engine.is_held = True
        first = asyncio.create_task(server.post())
        await until(lambda: server.engine.request == MEASURE)
        answer = await server.post()
        assert told(answer) == (503, "busy")
        assert int(answer.headers["retry-after"]) > 0
        health = (await server.client.get("/health")).json()
        assert (health["busy"], health["queue"]) == (True, 0)
        server.engine.work(server.engine.job)
        assert (await first).status_code == 200


async def test_what_takes_too_long_is_told() -> None:
    async with serving(Limits(seconds=0.05)) as server:
        server.engine.is_held = True
        assert told(await server.post()) == (504, "timed_out")
        assert server.engine.cancelled == [server.engine.job]


@pytest.mark.parametrize("how", [{}, {"headers": EVENTS}])
async def test_the_engines_death_is_told(server: Server, how: dict[str, Any]) -> None:
    server.engine.is_held = True
    waiting = asyncio.create_task(server.post(**how))
    await until(lambda: server.engine.request == MEASURE)
    server.engine.die("the engine ended with exit code 1", "RuntimeError: boom")
    answer = await waiting
    assert told(answer) == (500, "engine")
    assert answer.json()["error"]["message"] == "the engine ended with exit code 1: RuntimeError: boom"
    server.engine.is_held = False
    assert (await server.post()).status_code == 200


async def test_an_error_in_the_middle_of_a_stream_is_its_last_event(server: Server) -> None:
    server.engine.is_held = True
    waiting = asyncio.create_task(server.post(headers=EVENTS))
    await until(lambda: server.engine.request == MEASURE)
    server.engine.send(server.engine.job, PromptTokenized(tokens=tokenized(MEASURE.prompt)))
    server.engine.fail("out of luck")
    answer = await waiting
    assert answer.status_code == 200
    names, data = zip(*events_of(answer.text), strict=True)
    assert names == ("PromptTokenized", "error")
    assert json.loads(data[1]) == {"error": {"code": "engine", "message": "out of luck"}}


async def test_a_stream_says_that_it_lives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "QUIET", 0.01)
    server.engine.is_held = True
    async with (
        served(server.app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        client.stream("POST", ANALYZE, json=BODY, headers=EVENTS) as answer,
    ):
        lines = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == [": the job goes on", "", ": the job goes on"]
        server.engine.work(server.engine.job)
        assert "event: answer" in [line async for line in lines]


@pytest.mark.parametrize("how", [{"params": {"figure": "svg"}}, {"body": {**BODY, "figure": True}}])
async def test_a_figure_comes_with_the_answer(
    server: Server, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def draw(session: Session, _kind: str) -> bytes:
        assert session.measurement is not None
        return b"<svg>\n</svg>\n"

    monkeypatch.setattr(answer_text, "draw_figure", draw)
    plain, drawn = await server.post(), await server.post(**how)
    assert drawn.json()["figure"] == "<svg>\n</svg>\n"
    assert set(drawn.json()) == {*plain.json(), "figure"}
    assert drawn.text.splitlines()[:3] == plain.text.splitlines()[:3]


async def test_a_crash_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> str:
        raise RuntimeError("/home/secret")

    monkeypatch.setattr(answer_text, "answer_json", crash)
    async with serving() as server:
        answer = await server.post()
        assert told(answer) == (500, "failed")
        assert "secret" not in answer.text
        assert [str(error) for error in server.crashes] == ["/home/secret"]
        server.crashes.clear()
        assert server.desk.n_jobs == 0


async def test_health_tells_model_and_load_to_whoever_may_ask() -> None:
    async with serving(token="correct-horse") as server:
        assert (await server.client.get("/health")).json() == {"status": "ready"}
        known = {"authorization": "Bearer correct-horse"}
        health = (await server.client.get("/health", headers=known)).json()
        assert health["version"] == __version__
        assert (health["model"]["name"], health["model"]["dtype"]) == ("made up", "float32")
        assert (health["busy"], health["queue"]) == (False, 0)
        assert "correct-horse" not in json.dumps(health)
        assert told(await server.post()) == (401, "unauthorized")
        assert (await server.post(headers=known)).status_code == 200
        server.engine.die("gone")
        assert (await server.client.get("/health")).json() == {"status": "starting"}


async def test_the_log_tells_who_asked_what_and_no_text() -> None:
    async with serving(token="correct-horse") as server:
        known = {"authorization": "Bearer correct-horse"}
        await server.post(body={**BODY, "context": "my secret"}, headers=known)
        await server.post(params={"context": "my secret"}, headers=known)
        await server.client.get("/v1/%1b[31mred")
        assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in server.lines] == [
            f"127.0.0.1 POST {ANALYZE} 200",
            f"127.0.0.1 POST {ANALYZE} 422",
            "127.0.0.1 GET /v1/␛[31mred 401",
        ]


# On a real server: clients who leave, and those who do not read.


@asynccontextmanager
async def connected(
    port: int, query: str = "", body: bytes | None = None, announced: int = 0
) -> AsyncIterator[socket.socket]:
    """A client that asked for a measurement, with little room for the answer."""
    content = msgspec.json.encode(BODY) if body is None else body
    length = announced or len(content)
    head = f"POST {ANALYZE}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, f"{head}Content-Length: {length}\r\n\r\n".encode() + content)
        yield client


@pytest.mark.parametrize("query", ["", "?stream=true"])
async def test_a_client_who_leaves_stops_its_job(server: Server, query: str) -> None:
    server.engine.is_held = True
    async with served(server.app) as port:
        async with connected(port, query):
            await until(lambda: server.engine.request == MEASURE)
            job = server.engine.job
            server.engine.send(job, Progress(stage="half", done=1, total=2))
            assert server.engine.cancelled == []
        await until(lambda: server.engine.cancelled == [job])
        await until(lambda: server.lines)
        assert f" {'200' if query else '-'} (left) " in server.lines[0]
        server.engine.is_held = False
        assert (await server.post()).status_code == 200


async def test_a_client_who_leaves_while_it_waits_is_forgotten(server: Server) -> None:
    server.engine.is_held = True
    async with served(server.app) as port:
        first = asyncio.create_task(server.post())
        await until(lambda: server.engine.request == MEASURE)
        async with connected(port):
            await until(lambda: server.desk.n_jobs == 2)
        await until(lambda: server.desk.n_jobs == 1)
        server.engine.work(server.engine.job)
        assert (await first).status_code == 200
        assert sum(isinstance(request, Measure) for request in server.engine.requests) == 1


@pytest.mark.parametrize("query", ["", "?stream=true"])
async def test_a_client_who_does_not_read_holds_up_nobody(server: Server, query: str) -> None:
    long = msgspec.json.encode({**BODY, "context": "one " * 2000})
    async with served(server.app) as port, connected(port, query, long):
        await until(lambda: any(isinstance(request, Measure) for request in server.engine.requests))
        assert (await server.post()).status_code == 200
        assert len(server.lines) == 1  # the other's answer waits to be read


async def test_a_body_that_is_too_long_is_refused_at_its_head() -> None:
    async with serving(Limits(body_bytes=1000)) as server, served(server.app) as port:
        async with connected(port, announced=10**12) as one:
            head = await asyncio.get_running_loop().sock_recv(one, 4096)
            assert head.startswith(b"HTTP/1.1 413 ")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for content in (b" " * 10**7, in_pieces(b" " * 10**7)):
                answer = await client.post(ANALYZE, content=content, headers=JSON)
                assert told(answer) == (413, "too_large")
