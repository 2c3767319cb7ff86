"""Lines of a screen as text and styles: each line, and below it the styles of its stretches.

A style is named by a letter, which a list in front explains. A picture (SVG) says the same in twenty times the bytes.
"""

from collections.abc import Callable, Iterable
from itertools import groupby
from string import ascii_letters, digits

from rich.style import Style
from textual.app import App
from textual.filter import Monochrome
from textual.strip import Strip

NAMES = ascii_letters + digits + "αβγδεζηθικλμνξοπρστυφχψω"


def styled_text(strips: Iterable[Strip]) -> str:
    """The strips as text: a list of the styles, then each line with its stretches."""
    names: dict[str, str] = {}
    lines: list[str] = []
    for strip in strips:
        pieces = [(segment.text, described(segment.style)) for segment in strip]
        for _, style in pieces:
            names.setdefault(style, NAMES[len(names)])
        runs = (
            (names[style], sum(len(text) for text, _ in run))
            for style, run in groupby(pieces, key=lambda p: p[1])
        )
        lines += [strip.text.rstrip(), "  " + " ".join(f"{name}{length}" for name, length in runs)]
    return "\n".join([*(f"{name} {style}" for style, name in names.items()), "", *lines]) + "\n"


def described(style: Style | None) -> str:
    """Colours and attributes, without links."""
    if style is None:
        return "plain"
    marks = {"bold": style.bold, "dim": style.dim, "italic": style.italic, "reverse": style.reverse}
    marks |= {"underline": style.underline, "strike": style.strike, "blink": style.blink}
    attributes = [name for name, is_set in marks.items() if is_set]
    colours = (colour.name if colour else "default" for colour in (style.color, style.bgcolor))
    return " ".join([*attributes, " on ".join(colours)])


def in_light(app: App[object]) -> None:
    """The light theme."""
    app.theme = "icltui-light"


def without_colour(app: App[object]) -> None:
    """As under NO_COLOR: greys, and characters in place of shades."""
    app._filters.append(Monochrome())
    _with_glyphs(app, True)
    app.theme = "icltui-dark"


def as_it_was(app: App[object]) -> None:
    """Back to colours on dark, every line drawn anew."""
    app._filters[:] = [one for one in app._filters if not isinstance(one, Monochrome)]
    _with_glyphs(app, False)
    app.theme = "icltui-light"
    app.theme = "icltui-dark"


def _with_glyphs(app: App[object], glyphs: bool) -> None:
    for widget in app.screen_stack[0].walk_children():
        if hasattr(widget, "glyphs"):
            widget.glyphs = glyphs


LOOKS: dict[str, Callable[[App[object]], None]] = {"light": in_light, "no-colour": without_colour}
"""Beside the pictures, which are in colours on dark."""
