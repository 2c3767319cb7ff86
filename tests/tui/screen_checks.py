"""Looking at a whole screen as a terminal would get it: every line of every widget, as wide as the widget."""

from textual.app import App
from textual.geometry import Region
from textual.screen import Screen
from textual.visual import Visual, visualize
from textual.widget import Widget

from tests.hostile import cells_of


def check_screen(app: App[object]) -> int:
    """Every line of the screen, and of each widget on it, has no more and no fewer cells than it may.

    Returns:
        How many lines were looked at.
    """
    width, height = app.size
    n_lines = 0
    for screen in app.screen_stack:
        lines = [strip.text for strip in screen._compositor.render_strips()]
        assert len(lines) == height, f"{len(lines)} lines on a screen of {height}"
        for line in lines:
            assert cells_of(line) == width, f"{line!r} has {cells_of(line)} cells on a screen of {width}"
        n_lines += len(lines)
    return n_lines + sum(check_widget(widget) for widget in shown(app.screen))


def shown(screen: Screen[object]) -> list[Widget]:
    """The widgets that have a place on the screen."""
    return [widget for widget in screen.walk_children(Widget) if widget.size and widget.is_on_screen]


def check_widget(widget: Widget) -> int:
    """The same of one widget, its frame included, and of what it says under the pointer."""
    width, height = widget.outer_size
    strips = widget.render_lines(Region(0, 0, width, height))
    for strip in strips:
        text = "".join(segment.text for segment in strip if not segment.control)
        assert cells_of(text) == strip.cell_length == width, f"{widget}: {text!r} is not {width} cells wide"
        assert not any(segment.control for segment in strip), f"{widget} sends control codes"
    tooltip = widget.tooltip
    lines = (
        Visual.to_strips(widget, visualize(widget, tooltip), 40, None, widget.visual_style) if tooltip else []
    )
    for strip in lines:
        cells_of(strip.text)
    return len(strips) + len(lines)
