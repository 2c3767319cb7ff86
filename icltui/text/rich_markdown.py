"""A Markdown page set for a terminal, by Rich, in styles that any theme and any number of colours can show."""

import io
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Markdown, MarkdownElement
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

_STYLES = Theme(
    {
        "markdown.h1": "bold underline",
        "markdown.h2": "bold underline",
        "markdown.h3": "bold",
        "markdown.code": "cyan",
        "markdown.link": "none",
        "markdown.link_url": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)
_INDENT = (0, 0, 0, 4)


class _Block(CodeBlock):
    """A fenced block: as it is, indented, without highlighting."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip()), _INDENT)


class MarkdownPage(Markdown):
    """The page as a renderable; links show where they lead, since relative ones mean nothing to a terminal."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Block,
        "code_block": _Block,
    }

    def __init__(self, markdown: str) -> None:
        super().__init__(markdown, hyperlinks=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(_STYLES):
            yield from super().__rich_console__(console, options)


def rendered(markdown: str, width: int) -> str:
    """The page as a terminal of that width shows it, in the colours that the environment allows."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    with console.capture() as capture:
        console.print(MarkdownPage(markdown))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
