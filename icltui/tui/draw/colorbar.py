"""The legend of shades: what they stand for, and the numbers at both ends of the ramp."""

from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style

from icltui.tui.draw.colormap import COLOURS, GLYPHS, colour
from icltui.tui.draw.text import graduate


def colorbar(
    title: str,
    meaning: str,
    bounds: tuple[float, float] | None,
    log: bool,
    glyphs: bool,
    base: Style,
    muted: Style,
) -> Iterator[Segment]:
    """One line: the title, the ramp between its numbers, the meaning."""
    yield Segment(f" {title}{'  log' if log else ''}  ", muted)
    if bounds is None:
        yield Segment("no numbers yet", muted)
        return
    low, high = graduate(bounds)
    yield Segment(low + " ", muted)
    if glyphs:
        yield Segment(GLYPHS, base)
    else:
        n_colours = len(COLOURS)
        yield from (Segment(" ", base + colour(step / (n_colours - 1))) for step in range(n_colours))
    yield Segment(f" {high}   {meaning}", muted)
