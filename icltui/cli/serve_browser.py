"""``icltui --serve``: the explorer in a browser, on this machine unless it is told otherwise."""

import re
import sys

from icltui.system.child_environment import own_command
from icltui.system.streams import print_error, print_text
from icltui.values.errors import BadInput

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]\s]+):(?P<port>\d{1,5})")


def serve_browser(address: str) -> int:
    """Serve the explorer with the other arguments of this command until a signal.

    Raises:
        BadInput: no address, or textual-serve is not installed.
    """
    host, port = read_address(address)
    try:
        from icltui.serve.browser import BrowserServer
    except ModuleNotFoundError as error:
        raise BadInput(
            "a browser is served by textual-serve, which is not installed: pip install 'icltui[browser]'"
        ) from error
    from icltui.serve.http.access import is_loopback

    if not is_loopback(host):
        print_error(
            f"icltui: {host} can be reached from other machines: whoever opens it acts as you; "
            "ssh -L 8000:127.0.0.1:8000 keeps it to you"
        )
    command = own_command(*without_option(sys.argv[1:], "--serve", address))
    BrowserServer(
        command, host, port, lambda url: print_text(f"the explorer is at {url}, ctrl+c ends it")
    ).run()
    return 0


def read_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[::1]:8000`` among them.

    Raises:
        BadInput: it is not one.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise BadInput(f"--serve {text!r} is no HOST:PORT: give one such as 127.0.0.1:8000")
    return match["host"].strip("[]"), int(match["port"])


def without_option(words: list[str], option: str, value: str) -> list[str]:
    """The words of a command line without ``option`` and the ``value`` that it was given, if it was.

    >>> without_option(["-c", "a", "--serve", "h:1", "-q", "b"], "--serve", "h:1")
    ['-c', 'a', '-q', 'b']
    """
    left: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == option:
            following = next(rest, None)
            left += [] if following in (None, value) else [following]
        elif word != f"{option}={value}":
            left.append(word)
    return left
