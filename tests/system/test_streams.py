"""Data arrives on stdout or the command says that it did not, whatever became of the three streams."""

import subprocess
import sys
from pathlib import Path

import pytest

ICLTUI = f"{sys.executable} -m icltui"
FULL = "icltui: cannot write to stdout: no space left on device\n"
CLOSED = "icltui: cannot write to stdout: it is closed\n"
TERMINAL = (
    "icltui: the explorer needs a terminal on stdin and stderr: "
    "run it in one, or use measure, verify or generate\n"
)


def run(line: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a shell's line."""
    ended = subprocess.run(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("command", ["config", "--help", "--version", "measure --help"])
def test_a_stdout_that_is_full(command: str) -> None:
    assert run(f"{ICLTUI} {command} > /dev/full") == (2, "", FULL)


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("config >&-", 2, CLOSED),
        ("--version >&- 2>&-", 2, ""),
        ("<&-", 2, TERMINAL),
        ("<&- >&- 2>&-", 2, ""),
        ("measure --bad 2>&-", 2, ""),
    ],
)
def test_a_stream_that_is_closed(line: str, code: int, err: str) -> None:
    assert run(f"{ICLTUI} {line}") == (code, "", err)


def test_what_is_said_to_a_closed_stderr_is_no_data() -> None:
    code, out, _ = run(f"XDG_CONFIG_HOME={__file__} {ICLTUI} config 2>&-")
    assert code == 2  # the config cannot be read, which is said on stderr
    assert "# sessions" in out
    assert "cannot be read" not in out


def test_a_reader_that_has_seen_enough_hears_nothing() -> None:
    assert run(f"({ICLTUI} config; echo $? >&2) | true") == (0, "", "0\n")
