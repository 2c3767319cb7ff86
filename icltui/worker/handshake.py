"""The greeting at the start of a connection, after whatever a login prints; or one line that says why there was none.

The child's lines enter; a :class:`~icltui.worker.protocol.Hello` leaves. Between the two processes may be ssh and a
shell on another machine, whose own messages are the best reason there is.
"""

from collections.abc import Awaitable, Callable, Sequence

from icltui import __version__
from icltui.values.errors import EngineError
from icltui.worker.log import plain_line
from icltui.worker.protocol import PROTOCOL, Hello, decode_server_message

LINES_BEFORE, BYTES_BEFORE = 1000, 2**20
"""The most that a login may print before the greeting."""
SILENCE = 10.0
"""Seconds between two notices that there is no greeting yet."""
CONNECTION_LOST = 255
"""Exit code by which ssh says that it could not connect, or lost the connection."""
_GREETING = b'{"say":"Hello"'
_HINTS = (
    ("permission denied (", "nothing can be typed into ssh from here: use a key or an agent"),
    ("host key verification failed", "connect once by hand, so that ssh knows the host"),
    ("not found", "give its full path, as no login shell sets PATH there"),
    ("no module named", "name the Python that has it"),
)
"""A part of a line of stderr, in lower case, and what to do about it."""


async def read_hello(read: Callable[[], Awaitable[tuple[bytes, bool]]], said: list[str]) -> Hello | None:
    """The greeting; None if ``read`` comes to its end first. Lines before the greeting are appended to ``said``.

    Raises:
        EngineError: more lines than a login may print, or a greeting in another protocol.
    """
    n_lines = n_bytes = 0
    while piece := (await read())[0]:
        if piece.startswith(_GREETING) and (hello := _hello(piece)):
            return hello
        n_lines += piece.count(b"\n")
        n_bytes += len(piece)
        lines = piece.decode("utf-8", "replace").splitlines()[:LINES_BEFORE]
        said += filter(None, map(plain_line, lines))
        if n_lines >= LINES_BEFORE or n_bytes > BYTES_BEFORE:
            example = f"{said[0]!r} …" if said else "nothing that can be read"
            raise EngineError(f"the engine's command prints a lot, but it is not an icltui engine: {example}")
    return None


def _hello(line: bytes) -> Hello | None:
    hello = decode_server_message(line)
    if isinstance(hello, Hello) and hello.protocol != PROTOCOL:
        raise EngineError(protocol_mismatch(hello))
    return hello if isinstance(hello, Hello) else None


def protocol_mismatch(hello: Hello) -> str:
    """Which side is older, and where to install another version.

    >>> protocol_mismatch(Hello(1, "0.0.9")).rpartition(": ")[2]
    'install the same version there'
    """
    relation, where = ("older", "there") if hello.protocol < PROTOCOL else ("newer", "here")
    return (
        f"the engine is icltui {hello.version}, {relation} than this {__version__} "
        f"(protocol {hello.protocol}, not {PROTOCOL}): install the same version {where}"
    )


def why_no_greeting(ended: str, said: Sequence[str], log_tail: Sequence[str]) -> str:
    """Why a process that ``ended`` never greeted: its last line, and what to do about it.

    >>> why_no_greeting("ended with exit code 255", [], ["Permission denied (publickey,password)."]).partition(": ")[2]
    'Permission denied (publickey,password). Nothing can be typed into ssh from here: use a key or an agent'
    """
    if not log_tail:
        words = f"it said {said[0]!r}" if said else "it said nothing"
        return f"the engine {ended} before it answered: {words}; its command must be icltui engine"
    hint = next((hint for line in log_tail for sign, hint in _HINTS if sign in line.lower()), "")
    reason = f"{log_tail[-1].rstrip('.')}. {hint[0].upper()}{hint[1:]}" if hint else log_tail[-1]
    return f"the engine {ended} before it answered: {reason}"


def connection_lost(ended: str, log_tail: Sequence[str]) -> str:
    """How a process ended that had greeted, where the exit code is ssh's own."""
    return f"the engine {ended}: {log_tail[-1] if log_tail else 'the connection was lost, if this is ssh'}"
