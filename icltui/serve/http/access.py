"""Who may ask a server: whoever has its token; without one, programs of this machine.

A browser on this machine also runs the pages of others. A page can send requests to a loopback address, and one whose
own name is pointed at that address afterwards can read the answers (DNS rebinding). So a server without a token asks
that ``Host`` and ``Origin`` name this machine, which a page cannot forge.
"""

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from icltui.values.errors import BadInput, Forbidden, IcltuiError, Unauthorized

Scope = MutableMapping[str, Any]
"""What an ASGI server tells of a connection."""
ASGIApp = Callable[[Scope, Any, Any], Awaitable[None]]
"""An application, or an answer, for an ASGI server."""
Refuse = Callable[[IcltuiError, Mapping[str, str]], ASGIApp]
"""The answer that tells an error, with more headers."""

SHORTEST_TOKEN, LONGEST_TOKEN = 8, 1024
"""Characters; a header has no room for many more."""
HEALTH = "/health"
"""The address that tells whoever asks that the server lives."""
KNOWN = "icltui.known"
"""The key in an ASGI scope that says whether the sender may hear more than that the server lives."""
_CHALLENGE = {"www-authenticate": 'Bearer realm="icltui"'}


def check_token(token: str | None, host: str) -> None:
    """Refuse a token that can be guessed or not be sent, and an address of the network without one.

    Raises:
        BadInput: naming what was needed, and never the token itself.
    """
    if token is None:
        if not is_loopback(host):
            raise BadInput(
                f"{host!r} is no loopback address: give a token, or serve on 127.0.0.1 and come through ssh -L"
            )
    elif not (SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN):
        raise BadInput(
            f"the token has {len(token)} characters: give {SHORTEST_TOKEN} to {LONGEST_TOKEN}, such as those of "
            "openssl rand -hex 32"
        )
    elif not (token.isascii() and token.isprintable() and " " not in token):
        raise BadInput(
            "the token has a space or a sign that no header holds: use ASCII letters, digits and signs"
        )


def is_loopback(host: str) -> bool:
    """Whether a server on ``host`` can be reached from this machine alone.

    Of names only ``localhost`` is, and only while it means nothing else: any other may mean another address by the
    time that the server listens.
    """
    if host.lower() != "localhost":
        return _is_loopback_address(host)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_is_loopback_address(str(address[4][0])) for address in found)


def _is_loopback_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback if mapped is None else bool(mapped.is_loopback)


class Access:
    """An application behind the check of who asks; nothing of a refused request is read but its headers.

    Args:
        app: the application.
        token: what a request must carry as ``Authorization: Bearer …``; None: it must come from this machine.
        refuse: makes the answer to whoever is refused.
    """

    def __init__(self, app: ASGIApp, token: str | None, refuse: Refuse) -> None:
        self._app, self._refuse = app, refuse
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        answer = self._app
        if scope["type"] != "lifespan":
            try:
                scope[KNOWN] = self._check(scope)
            except Unauthorized as error:
                answer = self._refuse(error, _CHALLENGE)
            except Forbidden as error:
                answer = self._refuse(error, {})
        await answer(scope, receive, send)

    def _check(self, scope: Scope) -> bool:
        """Whether the sender is known; it need not be to hear that the server lives.

        Raises:
            Unauthorized: no token, or another.
            Forbidden: the request came by way of another address.
        """
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        if self._token is None:
            _check_local(headers)
            return True
        given = [value for name, value in headers if name == b"authorization"]
        if not given and scope["path"] == HEALTH and scope.get("method") in ("GET", "HEAD"):
            return False
        if len(given) != 1:
            raise Unauthorized("no token: send the header Authorization: Bearer TOKEN, once")
        scheme, _, token = given[0].partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(b" "), self._token):
            raise Unauthorized("another token than the server's: send Authorization: Bearer TOKEN")
        return True


def _check_local(headers: list[tuple[bytes, bytes]]) -> None:
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not names_this_machine(b"http://" + hosts[0]):
        raise Forbidden(
            "the request's Host is not this machine: ask 127.0.0.1 or localhost, or serve with a token"
        )
    if not all(names_this_machine(value) for name, value in headers if name == b"origin"):
        raise Forbidden("a web page of another origin may not ask: ask from a program, or serve with a token")


def names_this_machine(url: bytes) -> bool:
    """Whether the host of ``url``, a scheme and an authority alone, is ``localhost`` or a loopback address."""
    try:
        text = url.decode("ascii")
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.username is not None or text.partition("://")[2] != parts.netloc:
        return False
    return host == "localhost" or _is_loopback_address(host or "")
