"""The socket on which a server listens: opened before anything long begins, so that its faults are told at once."""

import errno
import socket

from icltui.values.errors import BadInput, reason_of

BACKLOG = 128
"""Connections that may wait to be accepted."""


def open_socket(host: str, port: int) -> socket.socket:
    """A socket bound to ``host`` and ``port``; port 0 takes a free one. Nobody can connect before it listens.

    Until then nobody else can be bound there either; :func:`let_again` ends that, before it listens.

    Raises:
        BadInput: the address is none of this machine's, or the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise BadInput(
            f"--host {host!r} is no known address: give one of this machine's, such as 127.0.0.1"
        ) from None
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        # Two sockets with this option may be bound to one port, and only the later to listen hears that it is taken.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        opened.close()
        raise BadInput(_fault(error, host, port)) from None
    return opened


def let_again(opened: socket.socket) -> None:
    """Let the next server have the port at once when this one has ended, though connections of it still linger."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _fault(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: give another --port, or 0 for a free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host!r} is no address of this machine: give one that is, such as 127.0.0.1"
    return f"cannot listen on port {port} of {host}: {reason_of(error)}: give another --port, such as 8642"


def url_of(opened: socket.socket) -> str:
    """Where it is reached.

    >>> with open_socket("127.0.0.1", 0) as opened:
    ...     url_of(opened) == f"http://127.0.0.1:{opened.getsockname()[1]}"
    True
    """
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if opened.family == socket.AF_INET6 else f"http://{host}:{port}"
