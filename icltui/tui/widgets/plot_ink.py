"""The styles of a plot, as the theme and the terminal have them."""

from textual.widget import Widget

from icltui.tui.draw.colormap import ramp
from icltui.tui.draw.plot_area import PlotInk

PLOT_CLASSES = {"plot--muted", "plot--strong", "plot--focus"}
"""The component classes of a widget that draws a plot."""
PLOT_CSS = """
    & > .plot--muted { color: $text-muted; }
    & > .plot--strong { text-style: bold; }
    & > .plot--focus { color: $accent; text-style: bold; }
"""


_CALM = 0.7
"""The share of the ramp that lines have: its end is the accent's, which the line in focus alone has."""


def plot_ink(widget: Widget, glyphs: bool | None = None) -> PlotInk:
    """The styles of ``widget``, which has :data:`PLOT_CLASSES`; ``glyphs``: whatever the terminal can do."""
    base, component = widget.rich_style, widget.get_component_rich_style
    colours, muted = ramp(widget.app, glyphs), component("plot--muted")
    return PlotInk(
        base=base,
        muted=muted,
        strong=component("plot--strong"),
        focus=component("plot--focus"),
        depth=lambda depth: muted if colours.needs_glyphs else base + colours.ink(_CALM * depth),
        glyphs=colours.needs_glyphs,
    )
