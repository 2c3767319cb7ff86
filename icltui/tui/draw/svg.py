"""A pane, or the whole screen, as an SVG: the lines that Textual draws, with border, title and colours.

Strips must be taken in the app's thread; the SVG can be made of them in any thread.
"""

import io
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from rich.console import Console
from textual._compositor import Compositor
from textual.screen import Screen
from textual.strip import Strip, StripRenderable
from textual.widget import Widget
from textual.widgets._toast import ToastRack

from icltui.text.escape import visible


def pane_strips(pane: Widget) -> list[Strip]:
    """The pane alone, without a toast or a dialog over it."""
    compositor = Compositor()
    compositor.reflow(pane, pane.outer_size)
    return compositor.render_strips(pane.outer_size)


def screen_strips(screen: Screen[Any]) -> list[Strip]:
    """The whole screen as it is now, without what it tells in passing."""
    compositor = Compositor()
    compositor.reflow(screen, screen.size)
    compositor._full_map = {
        widget: place
        for widget, place in compositor._full_map.items()
        if not any(isinstance(node, ToastRack) for node in widget.ancestors_with_self)
    }
    return compositor.render_strips(screen.size)


def svg_of(strips: Sequence[Strip], title: str) -> str:
    """The strips as an SVG under ``title``; the same strips give the same text."""
    width = max((strip.cell_length for strip in strips), default=1) or 1
    console = Console(
        width=width,
        height=max(len(strips), 1),
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
    )
    console.print(StripRenderable(list(strips), width))
    digest = sha256("\n".join(strip.text for strip in strips).encode("utf-8", "replace")).hexdigest()[:12]
    return console.export_svg(title=visible(title), unique_id=f"icltui-{digest}")
