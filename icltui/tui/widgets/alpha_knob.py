"""The line under the lanes that shows and sets the patch's strength, with KL over it."""

from textual.events import Click
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from icltui.tui.draw.alpha_line import AlphaLine
from icltui.tui.draw.colormap import ramp
from icltui.tui.state.explorer import Explorer


class AlphaKnob(Widget):
    """The line; hidden while no patch acts."""

    COMPONENT_CLASSES = {"alpha-knob--muted"}  # noqa: RUF012 -- Textual's own type
    DEFAULT_CSS = """
    AlphaKnob {
        height: 1;
        display: none;
        &.-on { display: block; }
        & > .alpha-knob--muted { color: $text-muted; }
    }
    """

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(id="alpha-knob")
        self._explorer = explorer
        self._drawn: Strip | None = None

    def draw_knob(self) -> None:
        """Draw it, if anything about it has changed."""
        explorer = self._explorer
        is_on = explorer.settings.is_delta_on and bool(explorer.results.texts.steps.get("patched"))
        self.set_class(is_on, "-on")
        if is_on:
            self._draw()

    def on_resize(self) -> None:
        """Draw it on other cells."""
        self._draw()

    def notify_style_update(self) -> None:
        """Follow another theme."""
        super().notify_style_update()
        self._drawn = None
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """One line."""
        return 1

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """The line."""
        self._drawn = self._strip()
        return self._drawn

    def _draw(self) -> None:
        if self._drawn != self._strip():
            self.refresh()

    def _strip(self) -> Strip:
        width, base = self.size.width, self.rich_style
        return Strip(self._line().segments()).adjust_cell_length(width, base).simplify()

    def _line(self) -> AlphaLine:
        explorer, base = self._explorer, self.rich_style
        return AlphaLine(
            alpha=explorer.present_alpha,
            kl=explorer.kl_by_alpha(),
            width=self.size.width,
            ramp=ramp(self.app),
            base=base,
            muted=self.get_component_rich_style("alpha-knob--muted"),
        )

    def on_click(self, event: Click) -> None:
        """Take the strength under the mouse."""
        alpha, present = self._line().alpha_at(event.x), self._explorer.present_alpha
        if alpha is not None and present is not None and alpha != present:
            self._explorer.change_alpha(alpha - present)
