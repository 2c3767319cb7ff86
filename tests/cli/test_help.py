"""``icltui help``: the manual's pages as text, on a pipe and on a terminal."""

import os
import pty
import re
import subprocess
import sys

import pytest

from icltui.cli.main import main
from icltui.storage.manual import DOCS, TOPICS
from icltui.text.rich_markdown import rendered
from tests.docs.reference import parsers
from tests.hostile import cells_of
from tests.waiting import PATIENCE

STYLE = re.compile(r"\x1b\[[0-9;]*m")


def test_without_a_topic_every_topic_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(TOPICS)
    assert all(cells_of(line) <= 80 for line in lines)


def test_the_help_of_every_command_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, parser in parsers().items():
        wide = [line for line in parser.format_help().splitlines() if cells_of(line) > 80]
        assert not wide, name


@pytest.mark.parametrize("topic", TOPICS)
def test_on_a_pipe_a_page_is_the_markdown_that_it_is(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", topic]) == 0
    assert capsys.readouterr().out == (DOCS / f"{topic}.md").read_text("utf-8")


def test_an_unknown_topic_is_refused_in_one_line_that_names_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["help", "\x1b[31mmath"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "math'" in line
    assert "\x1b" not in line
    assert all(topic in line for topic in TOPICS)


def test_every_page_has_a_topic_and_every_topic_a_page() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == set(TOPICS)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_fits_the_terminal(topic: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    lines = STYLE.sub("", rendered((DOCS / f"{topic}.md").read_text("utf-8"), width)).splitlines()
    assert max(map(cells_of, lines)) <= width
    assert "```" not in "".join(lines)


def test_on_a_terminal_the_page_is_set_and_coloured() -> None:
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "64", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "icltui", "help", "maths"]
    with subprocess.Popen(command, stdout=child, env=environment) as process:
        os.close(child)
        text = _read(parent)
        assert process.wait(PATIENCE) == 0
    assert "\x1b[" in text
    assert "Maths" in text
    assert "# Maths" not in text


def _read(descriptor: int) -> str:
    """All that a terminal is sent, until nobody holds its other end."""
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 2**16)
        except OSError:  # as Linux says that the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(descriptor)
    return b"".join(pieces).decode()
