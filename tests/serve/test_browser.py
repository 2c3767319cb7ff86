"""The explorer in a browser: it is there, for this machine alone, and for nobody by way of another page."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from aiohttp.test_utils import TestServer

from icltui.cli.serve_browser import read_address, serve_browser, without_option
from icltui.serve.browser import MOST_VISITORS, BrowserServer
from icltui.system.child_environment import own_command
from icltui.values.errors import BadInput

SLEEPER = [sys.executable, "-c", "input()"]


@asynccontextmanager
async def served(command: list[str], host: str = "127.0.0.1") -> AsyncIterator[TestServer]:
    """A server of ``command`` at a free port."""
    server = TestServer(await BrowserServer(command, host, 0, lambda _url: None)._make_app())
    await server.start_server()
    yield server
    await server.close()


async def status(server: TestServer, path: str = "/", **headers: str) -> int:
    async with ClientSession() as client, client.get(server.make_url(path), headers=headers) as answer:
        return answer.status


async def test_only_this_machine_and_its_own_page_are_let_in() -> None:
    async with served(SLEEPER) as server:
        here = f"127.0.0.1:{server.port}"
        assert await status(server) == 200
        assert await status(server, Host="localhost:9000") == 200, "the port of a tunnel"
        assert await status(server, Host="evil.example") == 403
        assert await status(server, "/static/js/textual.js", Origin="http://evil.example") == 403
        assert await status(server, "/ws", Origin=f"http://localhost:{server.port}") == 403, "another origin"
        async with ClientSession() as client:
            with pytest.raises(WSServerHandshakeError, match="403"):
                await client.ws_connect(server.make_url("/ws"), headers={"Origin": "null"})
            async with client.ws_connect(server.make_url("/ws"), headers={"Origin": f"http://{here}"}):
                pass


async def test_an_address_of_the_network_lets_its_own_page_in() -> None:
    async with served(SLEEPER, host="192.0.2.1") as server:
        assert await status(server, Host="gpubox:8000", Origin="http://gpubox:8000") == 200
        assert await status(server, Host="gpubox:8000", Origin="http://evil.example") == 403
        for name in ("192.0.2.1:8000", "[2001:db8::1]:8000"):
            assert await status(server, Host=name, Origin=f"http://{name}") == 200
        for name in ("evil.example:8000", "192.0.2.1.example", "evil.", "[:8000"):
            assert await status(server, Host=name, Origin=f"http://{name}") == 403, "a name pointed here"
    async with served(SLEEPER, host="GPU.example") as server:
        assert await status(server, Host="gpu.example:8000", Origin="http://gpu.example:8000") == 200, (
            "as it was told"
        )


async def test_the_page_names_the_address_by_which_it_was_reached() -> None:
    async with (
        served(SLEEPER) as server,
        ClientSession() as client,
        client.get(server.make_url("/"), headers={"Host": "localhost:9000"}) as answer,
    ):
        assert "ws://localhost:9000/ws" in await answer.text()


async def test_no_more_visitors_than_there_is_memory_for() -> None:
    async with served(SLEEPER) as server, ClientSession() as client:
        url = server.make_url("/ws")
        open_ones = [await client.ws_connect(url) for _ in range(MOST_VISITORS)]
        with pytest.raises(WSServerHandshakeError, match="503"):
            await client.ws_connect(url)
        await open_ones[0].close()
        for _ in range(200):
            try:
                await (await client.ws_connect(url)).close()
                break
            except WSServerHandshakeError:
                await asyncio.sleep(0.05)
        else:
            pytest.fail("a place did not become free")
        for one in open_ones:
            await one.close()


@pytest.mark.soak
async def test_the_explorer_draws_in_it_and_takes_keys(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    command = own_command("-c", "The sun is up.", "-q", " It is", "--engine", "cat")
    async with (
        served(command) as server,
        ClientSession() as client,
        client.ws_connect(f"{server.make_url('/ws')}?width=100&height=30") as socket,
        asyncio.timeout(60),
    ):
        seen = ""
        while "Context" not in seen or "The sun is up." not in seen:
            seen += _text(await socket.receive())
        await socket.send_json(["stdin", "?"])
        seen = ""
        while "manual" not in seen:
            seen += _text(await socket.receive())


def _text(message) -> str:
    data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode("utf-8", "replace"))


@pytest.mark.parametrize("text", ["8000", "host", "host:0", "host:70000", "a b:80", "::1:80", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"is no HOST:PORT"):
        read_address(text)


def test_addresses_are_read() -> None:
    assert read_address("[::1]:80") == ("::1", 80)
    assert read_address("127.0.0.1:8000") == ("127.0.0.1", 8000)


def test_the_explorer_gets_the_other_words() -> None:
    words = ["-c", "a", "--serve", "h:1", "-q", "b"]
    assert without_option(words, "--serve", "h:1") == ["-c", "a", "-q", "b"]
    assert without_option(["--serve", "-q", "b"], "--serve", "127.0.0.1:8000") == ["-q", "b"]
    assert without_option(["-q", "b", "--serve=h:1", "--serve"], "--serve", "h:1") == ["-q", "b"]


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icltui.serve.browser", None)
    with pytest.raises(BadInput, match=r"pip install 'icltui\[browser\]'"):
        serve_browser("127.0.0.1:8000")
