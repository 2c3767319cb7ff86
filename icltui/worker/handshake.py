"""The beginning of a connection: past what a login prints to the greeting, and in words why there was none.

Lines of the child enter; a :class:`~icltui.worker.protocol.Hello` leaves, or one line for a person. What stands between
may be ssh and a shell on another machine, whose own words are the best reason there is.
"""

from collections.abc import Awaitable, Callable, Sequence

from icltui import __version__
from icltui.values.errors import EngineError
from icltui.worker.log import plain_line
from icltui.worker.protocol import PROTOCOL, Hello, decode_report

LINES_BEFORE, BYTES_BEFORE = 1000, 2**20
"""So much a login may print before the greeting."""
SILENCE = 10.0
"""Seconds after which a user is told that there was no greeting yet, and after as many again once more."""
CONNECTION_LOST = 255
"""Exit code by which ssh says that it could not connect, or lost the connection."""
_GREETING = b'{"say":"Hello"'
_HINTS = (
    ("permission denied (", "nothing can be typed into ssh from here: use a key or an agent"),
    ("host key verification failed", "connect once by hand, so that ssh knows the host"),
    ("not found", "give its full path, as no login shell sets PATH there"),
    ("no module named", "name the Python that has it"),
)
"""What stands in a line of stderr, in small letters, and what to do then."""


async def read_hello(read: Callable[[], Awaitable[tuple[bytes, bool]]], said: list[str]) -> Hello | None:
    """The greeting; None if the pieces that ``read`` gives end before it. What came before it goes to ``said``.

    Raises:
        EngineError: no greeting in as much as a login may print, or one in another protocol.
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
            raise EngineError(f"the engine's command says much, but it is no icltui engine: {example}")
    return None


def _hello(line: bytes) -> Hello | None:
    hello = decode_report(line)
    if isinstance(hello, Hello) and hello.protocol != PROTOCOL:
        raise EngineError(other_protocol(hello))
    return hello if isinstance(hello, Hello) else None


def other_protocol(hello: Hello) -> str:
    """Which side is the older one, and where to mend it.

    >>> other_protocol(Hello(1, "0.0.9")).rpartition(": ")[2]
    'install the same version there'
    """
    relation, where = ("older", "there") if hello.protocol < PROTOCOL else ("newer", "here")
    return (
        f"the engine is icltui {hello.version}, {relation} than this {__version__} "
        f"(protocol {hello.protocol}, not {PROTOCOL}): install the same version {where}"
    )


def no_greeting(ended: str, said: Sequence[str], log_tail: Sequence[str]) -> str:
    """Why a process that ``ended`` never greeted: its last words, and what to do about them.

    >>> no_greeting("ended with exit code 255", [], ["Permission denied (publickey,password)."]).partition(": ")[2]
    'Permission denied (publickey,password). Nothing can be typed into ssh from here: use a key or an agent'
    """
    if not log_tail:
        words = f"it said {said[0]!r}" if said else "it said nothing"
        return f"the engine {ended} before it answered: {words}; its command must be icltui engine"
    hint = next((hint for line in log_tail for sign, hint in _HINTS if sign in line.lower()), "")
    reason = f"{log_tail[-1].rstrip('.')}. {hint[0].upper()}{hint[1:]}" if hint else log_tail[-1]
    return f"the engine {ended} before it answered: {reason}"


def connection_lost(ended: str, log_tail: Sequence[str]) -> str:
    """The end of a process that had greeted and whose exit code is ssh's own."""
    return f"the engine {ended}: {log_tail[-1] if log_tail else 'the connection was lost, if this is ssh'}"
