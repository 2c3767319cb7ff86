"""The socket of a server: its port is nobody else's from the beginning, and free again at the end."""

import socket

import pytest

from icltui.serve.http.listen import let_again, open_socket
from icltui.values.errors import BadInput


def test_a_port_is_taken_before_anybody_listens() -> None:
    with open_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} of 127.0.0.1 is in use: give another --port"):
            open_socket("127.0.0.1", port)


def test_a_port_is_free_again_although_a_connection_lingers() -> None:
    with open_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        let_again(first)
        first.listen()
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = first.accept()
        accepted.close()  # who closes first has the connection linger
        client.close()
    with open_socket("127.0.0.1", port) as second:
        assert second.getsockname()[1] == port
