"""Who may ask: whoever has the token, on this machine anyone but a web page."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from icltui.serve.http.access import KNOWN, Access, ASGIApp, Scope, check_token, is_loopback
from icltui.values.errors import BadInput, Forbidden, IcltuiError, Unauthorized

TOKEN = "correct-horse"

LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost", "LOCALHOST"]
ELSEWHERE = [
    *(
        "0.0.0.0",
        "::",
        "",
        "0",
        "192.168.1.2",
        "10.0.0.1",
        "fe80::1",
        "::ffff:10.0.0.1",
        "::ffff:0.0.0.0",
        "8.8.8.8",
    ),
    *(
        "lab.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0x7f.1",
        " 127.0.0.1",
    ),
    *("127.0.0.1\n", "::2", "::127.0.0.1", "[::1]", "localhost.", "1" * 5000),
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    check_token(None, host)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_every_other_address_needs_one(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(BadInput, match="give a token"):
        check_token(None, host)
    check_token(TOKEN, host)


def test_localhost_that_means_another_address_is_no_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.1", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert not is_loopback("localhost")


@pytest.mark.parametrize(
    "token",
    ["", " ", "short12", "with space in it", "tab\tin the middle", "line\nbreak", "schlüssel", "x" * 1025],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_weak_tokens_are_refused_and_not_told(token: str, host: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_token(token, host)
    assert len(token) < 2 or token not in str(caught.value)


class Asked:
    """An application that remembers what reached it, and refusals that say what was refused."""

    def __init__(self, token: str | None) -> None:
        self.reached: list[Scope] = []
        self.errors: list[tuple[IcltuiError, Mapping[str, str]]] = []
        self._access = Access(self._app, token, self._refuse)

    async def _app(self, scope: Scope, _receive: Any, _send: Any) -> None:
        self.reached.append(scope)

    def _refuse(self, error: IcltuiError, headers: Mapping[str, str]) -> ASGIApp:
        self.errors.append((error, headers))

        async def answer(_scope: Scope, _receive: Any, _send: Any) -> None:
            pass

        return answer

    def ask(self, *headers: tuple[str, str], path: str = "/v1/generate", method: str = "POST") -> bool:
        """Whether the request reached the application."""
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        scope = {"type": "http", "path": path, "method": method, "headers": raw}
        before = len(self.reached)
        asyncio.run(self._access(scope, None, None))
        return len(self.reached) > before


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_the_token_opens(value: str) -> None:
    assert Asked(TOKEN).ask(("authorization", value))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", TOKEN)],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", f"Bearer {TOKEN[:-1]}")],
        [("authorization", f"Bearer {TOKEN.upper()}")],
        [("authorization", f"Bearer {TOKEN} {TOKEN}")],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", f"Bearer {TOKEN}\xe9")],
        [("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")],
        [("authorization", "Bearer wrong-token"), ("Authorization", f"Bearer {TOKEN}")],
        [("x-authorization", f"Bearer {TOKEN}")],
        [("cookie", f"token={TOKEN}")],
        [("host", "127.0.0.1"), ("origin", "http://127.0.0.1")],
    ],
)
def test_nothing_else_does(headers: list[tuple[str, str]]) -> None:
    asked = Asked(TOKEN)
    assert not asked.ask(*headers)
    (error, more), *_ = asked.errors
    assert isinstance(error, Unauthorized)
    assert more == {"www-authenticate": 'Bearer realm="icltui"'}


def test_whoever_asks_may_hear_that_the_server_lives_and_no_more() -> None:
    asked = Asked(TOKEN)
    assert asked.ask(path="/health", method="GET")
    assert not asked.reached[-1][KNOWN]
    assert asked.ask(("authorization", f"Bearer {TOKEN}"), path="/health", method="GET")
    assert asked.reached[-1][KNOWN]
    assert not asked.ask(("authorization", "Bearer wrong-token"), path="/health", method="GET")
    assert not asked.ask(path="/health", method="POST")
    for path in ("/health/", "//health", "/health/../v1/generate", "/openapi.json", "/nothing", ""):
        assert not asked.ask(path=path, method="GET"), path


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:8000", "[::1]", "[::1]:80"]
)
def test_without_a_token_this_machine_may_ask(host: str) -> None:
    asked = Asked(None)
    assert asked.ask(("host", host))
    assert asked.reached[-1][KNOWN]
    assert asked.ask(("host", host), ("origin", "http://localhost:3000"))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
        ),
        *(
            "0.0.0.0",
            "192.168.1.2:8000",
            "",
            "127.0.0.1@evil.example",
            "evil.example#127.0.0.1",
            "[::1",
            "::1",
        ),
        *("localhost:99999", "localhost:x", "localhost/", "localhost?", "127.0.0.1\xe9", "@localhost"),
    ],
)
def test_a_name_that_was_pointed_at_this_machine_is_refused(host: str) -> None:
    asked = Asked(None)
    assert not asked.ask(("host", host))
    assert not asked.ask(("host", host), path="/health", method="GET")
    assert all(isinstance(error, Forbidden) and not more for error, more in asked.errors)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost.evil.example",
        "null",
        "",
        "file://",
        "http://localhost@evil.example",
    ],
)
def test_a_web_page_is_refused(origin: str) -> None:
    asked = Asked(None)
    assert not asked.ask(("host", "127.0.0.1:8000"), ("origin", origin))
    assert isinstance(asked.errors[0][0], Forbidden)


def test_a_host_is_named_once() -> None:
    assert not Asked(None).ask()
    assert not Asked(None).ask(("host", "localhost"), ("host", "evil.example"))


def test_a_start_of_the_server_passes() -> None:
    asked = Asked(TOKEN)
    asyncio.run(asked._access({"type": "lifespan"}, None, None))
    assert len(asked.reached) == 1
