"""The server of agents: its calls, one after another, and whatever a client does to it."""

import asyncio
import io
import json
import os
import subprocess
import sys
from subprocess import PIPE
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from icltui.api.limits import Limits
from icltui.api.messages import EngineAwaited, LoadModel
from icltui.cli.main import main
from icltui.serve.job_desk import JobDesk
from icltui.serve.mcp import call_progress
from icltui.serve.mcp.frames import FrameInput, FrameOutput
from icltui.serve.mcp.server import AgentServer, serve_agents
from icltui.system.child_environment import child_environment
from icltui.values.errors import ModelError, TimedOut
from tests.serve.desk_client import DeskClient
from tests.serve.mcp.agents import EngineClient, PatientEngine, agent
from tests.waiting import PATIENCE, until

PROMPT = {"context": "a b", "query": "c"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    },
}


def line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def test_an_unknown_tool_is_an_invalid_parameter() -> None:
    async with agent(EngineClient(PatientEngine()), mode="legacy") as client:
        with pytest.raises(MCPError, match="no tool 'nothing': use model, ") as caught:
            await client.call_tool("nothing", {})
        assert caught.value.error.code == -32602


async def test_a_model_that_cannot_be_loaded_is_told_and_tried_again() -> None:
    class Missing(PatientEngine):
        def run(self, request: Any, should_stop: Any) -> Any:
            if isinstance(request, LoadModel) and not self.is_let_go:
                raise ModelError("no such model: give another --model")
            return super().run(request, should_stop)

    engine = Missing()
    async with agent(EngineClient(engine), mode="legacy") as client:
        result = await client.call_tool("count_tokens", PROMPT)
        assert (result.is_error, result.content[0].text) == (True, "model: no such model: give another model")
        engine.is_let_go = True
        result = await client.call_tool("count_tokens", PROMPT)
        assert result.structured_content["result"]["model"] == "made up (float32, cpu)"


async def test_a_call_waits_for_the_model_as_long_as_for_a_job_and_is_told_what_the_engine_says() -> None:
    client = DeskClient()
    client.is_silent = True
    server = AgentServer(JobDesk(client, LoadModel(), Limits(seconds=0.05)))
    server.begin()
    await until(lambda: client.n_starts == 1)
    client.send(0, EngineAwaited(seconds=10, log_tail=("gpubox's password:",)))
    with pytest.raises(TimedOut, match=r"no model is loaded after 0\.05 s: gpubox's password:; it goes on"):
        await server.model()
    client.greet()
    assert (await server.model()).n_layers == 2
    assert client.n_starts == 1
    await server.close()


async def test_a_cancelled_call_stops_its_job_and_the_next_is_answered() -> None:
    engine = PatientEngine()
    asked = EngineClient(engine)
    async with agent(asked, mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("verify", PROMPT))
        await until(lambda: len(asked.requests) > 2)  # the model, the tokens, the proof
        call.cancel()
        await asyncio.wait({call})
        await until(lambda: engine.n_stopped == 1)
        engine.is_let_go = True
        assert (await client.call_tool("verify", PROMPT)).is_error  # it ends without a verification


async def test_calls_wait_for_each_other_and_one_too_many_is_refused() -> None:
    engine = PatientEngine()
    asked = EngineClient(engine)
    async with agent(asked, Limits(queue=2), mode="legacy") as client:
        calls = [asyncio.create_task(client.call_tool("verify", PROMPT)) for _ in range(3)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        assert [task.result().content[0].text[:6] for task in done] == ["busy: "]
        assert len(waiting) == 2
        engine.is_let_go = True
        await asyncio.wait(waiting, timeout=PATIENCE)
    assert asked.most_running == 1


async def test_progress_only_grows_and_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_progress, "INTERVAL", 0.0)
    engine = PatientEngine()
    told: list[float] = []

    async def hear(progress: float, _total: float | None, message: str | None) -> None:
        told.append(progress)
        assert message == "waiting"
        engine.is_let_go = len(told) >= 5

    async with agent(EngineClient(engine), mode="legacy") as client:
        await client.call_tool("verify", PROMPT, progress_callback=hear)
    assert len(told) >= 5
    assert told == sorted(set(told))
    assert told[-1] < 1


HOSTILE = (
    (b"not JSON\n", -32700),
    (b"\xff\xfe\n", -32700),
    (b'{"jsonrpc": "2.0", "id": 1, "method"\n', -32700),
    (b"[" * 5000 + b"\n", -32700),
    (b"[]\n", -32600),
    (b"17\n", -32600),
    (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": true, "method": 3}\n', -32600),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}\n', -32600),
    (b"x" * 9000 + b"\n", -32600),
)


async def test_a_line_that_is_no_message_is_answered_and_what_follows_is_read() -> None:
    out = io.BytesIO()
    ping = line({"jsonrpc": "2.0", "id": 7, "method": "ping"})
    text = b"".join(hostile + b"\n  \r\n" + ping for hostile, _ in HOSTILE)
    lines = [found async for found in FrameInput(io.BytesIO(text), FrameOutput(out), limit=8192)]
    assert lines == [ping.decode()] * len(HOSTILE)
    answers = [json.loads(answer) for answer in out.getvalue().splitlines()]
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [
        (None, code) for _, code in HOSTILE
    ]


@pytest.mark.parametrize("length", [8191, 8192, 8193])
async def test_the_longest_line_is_exactly_so_long(length: int) -> None:
    whole = line({"jsonrpc": "2.0", "method": "x"})[:-1]
    padded = whole + b" " * (length - len(whole))
    found = [one async for one in FrameInput(io.BytesIO(padded + b"\n"), FrameOutput(io.BytesIO()), 8192)]
    assert len(found) == (length <= 8192)


async def test_a_line_without_an_end_is_never_held() -> None:
    class Endless(io.BytesIO):
        longest = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            piece = super().readline(size)
            self.longest = max(self.longest, len(piece))
            return piece

    stream = Endless(b"x" * 10**6 + b"\n" + line({"jsonrpc": "2.0", "method": "x"}))
    found = [one async for one in FrameInput(stream, FrameOutput(io.BytesIO()), 1024)]
    assert len(found) == 1
    assert stream.longest <= 2**16


class Wire:
    """A server on two pipes."""

    def __init__(self, asked: EngineClient) -> None:
        theirs, self.to_server = os.pipe()
        self.from_server, ours = os.pipe()
        self.pipes = os.fdopen(theirs, "rb"), os.fdopen(ours, "wb")
        self.serving = asyncio.create_task(serve_agents(asked, LoadModel(), Limits(), 24_000, *self.pipes))

    def say(self, *messages: Any) -> None:
        for message in messages:
            os.write(self.to_server, line(message))

    async def answer(self) -> Any:
        found = b""
        while not found.endswith(b"\n"):
            piece = await asyncio.to_thread(os.read, self.from_server, 2**16)
            assert piece, "the server hung up"
            found += piece
        return json.loads(found)


async def test_the_end_of_the_input_ends_a_running_call_and_the_engine() -> None:
    asked = EngineClient(PatientEngine())
    wire = Wire(asked)
    call = {"name": "verify", "arguments": PROMPT}
    wire.say(INITIALIZE)
    assert (await wire.answer())["result"]["serverInfo"]["name"] == "icltui"
    wire.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
    wire.say({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call})
    await until(lambda: len(asked.requests) > 2)
    os.close(wire.to_server)
    await asyncio.wait_for(wire.serving, PATIENCE)
    assert asked.is_closed
    os.close(wire.from_server)


async def test_a_client_that_reads_no_more_ends_the_server() -> None:
    asked = EngineClient(PatientEngine())
    wire = Wire(asked)
    os.close(wire.from_server)
    wire.say(INITIALIZE)
    await asyncio.wait_for(wire.serving, PATIENCE)
    assert asked.is_closed
    os.close(wire.to_server)


async def test_malformed_parameters_are_answered_and_the_server_goes_on() -> None:
    wire = Wire(EngineClient(PatientEngine()))
    wire.say(INITIALIZE)
    await wire.answer()
    wire.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
    for params in ({"name": "verify", "arguments": "text"}, {"arguments": {}}, {"name": 3}):
        wire.say({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params})
        assert (await wire.answer())["error"]["code"] == -32602
    wire.say({"jsonrpc": "2.0", "id": 4, "method": "tools/nothing"})
    assert (await wire.answer())["error"]["code"] == -32601
    wire.say({"jsonrpc": "2.0", "id": 5, "method": "tools/list"})
    assert len((await wire.answer())["result"]["tools"]) == 9
    os.close(wire.to_server)
    await asyncio.wait_for(wire.serving, PATIENCE)
    os.close(wire.from_server)


def test_a_missing_library_is_named_with_the_extra_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "icltui.serve.mcp.server")
    monkeypatch.setitem(sys.modules, "mcp_types", None)
    assert main(["mcp"]) == 2
    assert capsys.readouterr().err == (
        "icltui: agents need mcp, which is not installed: pip install 'icltui[mcp]'\n"
    )


@pytest.mark.parametrize("text", ["3999", "1000001", "many", "9" * 30])
def test_an_answer_has_room_for_its_controls(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", "--answer-characters", text]) == 2
    assert f"'{text}': give 4000 to 1000000" in capsys.readouterr().err


PRINTS = """
import os, sys
from msgspec.structs import replace
from icltui.cli.main import main
from icltui.serve.mcp import tools
def read(arguments, read=tools.TOOLS["model"].read):
    print("print"), os.write(1, b"native\\n"), sys.stdout.flush()
    return read(arguments)
tools.TOOLS["model"] = replace(tools.TOOLS["model"], read=read)
sys.exit(main(["mcp", "--engine", f"{sys.executable} -m icltui.bench.fake_engine --layers 2 --rate 50"]))
"""


def test_nothing_but_the_protocol_is_on_stdout() -> None:
    """Whatever prints, in Python or below it; and the end of the input is the end of the program."""
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "model", "arguments": {}}}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS], stdin=PIPE, stdout=PIPE, stderr=PIPE, env=child_environment()
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(map(line, (INITIALIZE, ready, call))))
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    rest, log = process.communicate(timeout=PATIENCE)
    assert [answer["id"] for answer in answers] == [1, 2]
    assert (rest, process.returncode) == (b"", 0)
    assert b"print" in log
    assert b"native" in log
