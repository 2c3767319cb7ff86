"""The pages of the manual and the README as their parts: fenced blocks, inline code, links, headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import icltui

ROOT = Path(__file__).parents[2]
DOCS = Path(icltui.__file__).parent / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

RUN = "sh"
"""The language of a block whose commands the tests run."""
RUN_SLOWLY = "sh slow"
"""The same of commands that take long: the soak tests run them."""
PYTHON, PYTHON_SLOWLY = "python", "python slow"
"""The languages of blocks whose examples the tests run; the soak tests those that take long."""
READ = ("console", "bash")
"""Those of blocks whose commands need a network, a GPU, another machine or minutes: the tests parse them."""

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
_HOP = re.compile(r"^\d+\. `([\w/]+\.py)`, `([\w.]+)`", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines that are commands: neither blank nor a comment."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of the page."""
    for match in _BLOCK.finditer(page.read_text("utf-8")):
        yield Block(page, match[1], match[2])


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def spans(page: Path) -> list[str]:
    """Every inline code span."""
    return [" ".join(span.replace(r"\|", "|").split()) for span in _SPAN.findall(prose(page))]


def links(page: Path) -> list[str]:
    """The target of every link and picture."""
    return _LINK.findall(prose(page))


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, in the order in which ``&&`` joins them, without variables set for it."""
    words = [word for word in shlex.split(line, comments=True) if not _VARIABLE.match(word)]
    while "&&" in words:
        at = words.index("&&")
        yield words[:at]
        words = words[at + 1 :]
    yield words


def own_words(words: list[str]) -> Iterator[list[str]]:
    """What follows ``icltui`` in a command, and in each command that is a word of it, as that of ``--engine``."""
    names = [at for at, word in enumerate(words) if Path(word).name == "icltui"]
    if names:
        yield words[names[0] + 1 :]
    for word in words:
        if "icltui " in word:
            yield from own_words(shlex.split(word))


def walks() -> dict[str, list[tuple[str, str]]]:
    """The architecture page's walks by their first words: the file of each hop, in the package, and its function."""
    sections = re.split(r"^### ", (DOCS / "architecture.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {section.partition(":")[0]: _HOP.findall(section) for section in sections}
