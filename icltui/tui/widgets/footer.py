"""The footer: the keys that can be pressed now, in one line; a narrow footer leaves some out, so that none is cut.

Textual's Footer mounts a widget for each key again at every move of the focus, which costs a tenth of the time to the
first paint.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from textual.binding import ActiveBinding
from textual.content import Content
from textual.events import Click, Leave, MouseMove
from textual.screen import Screen
from textual.widget import Widget

WIDTH = 72
"""Columns that all keys need."""
GIVING_WAY = ("save_session", "open_session", "group_rows", "sort_rows")
"""The actions that a narrower footer leaves out."""

_KEY = "bold $footer-key-foreground on $footer-key-background"
_WORDS = "$footer-description-foreground on $footer-description-background"
_EDGE, _GAP = "▏", "  "


@dataclass(frozen=True)
class _KeyLabel:
    key: str
    shown_key: str
    words: str
    tooltip: str
    is_enabled: bool

    @property
    def width(self) -> int:
        return cell_len(f"{self.shown_key} {self.words}")

    @property
    def content(self) -> Content:
        text = Content.assemble((self.shown_key, _KEY), (f" {self.words}", _WORDS))
        return text if self.is_enabled else text.stylize("dim")


class KeyFooter(Widget):
    """The keys from the left, the command palette's key on the right."""

    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom;
        height: 1;
        color: $footer-foreground;
        background: $footer-background;
        text-wrap: nowrap;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._labels: list[_KeyLabel] = []

    def on_mount(self) -> None:
        """Follow the bindings, which change with the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._renew)

    def _renew(self, screen: Screen[object]) -> None:
        if screen is self.screen and self._wanted() != self._labels:
            self.refresh()

    def _wanted(self) -> list[_KeyLabel]:
        """The keys to show, the palette's last."""
        active = self.screen.active_bindings
        palette = active.get(self.app.COMMAND_PALETTE_BINDING)
        shown: dict[str, ActiveBinding] = {}
        for one in active.values():
            is_left_out = self.size.width < WIDTH and one.binding.action in GIVING_WAY
            if one.binding.show and not is_left_out:
                shown.setdefault(one.binding.action, one)
        return [self._label(one) for one in (*shown.values(), *([palette] if palette else []))]

    def _label(self, one: ActiveBinding) -> _KeyLabel:
        _, binding, is_enabled, tooltip = one
        shown_key = self.app.get_key_display(binding)
        return _KeyLabel(
            binding.key, shown_key, binding.description, tooltip or binding.description, is_enabled
        )

    def render(self) -> Content:
        self._labels = self._wanted()
        if not self._labels:
            return Content()
        *keys, palette = self._labels
        line = Content(_GAP).join(label.content for label in keys)
        room = self.size.width - palette.width - 1
        end = Content.styled(_EDGE, "$foreground 20%") + palette.content
        return line.truncate(max(room, 0), pad=True) + end

    # The mouse.

    def on_click(self, event: Click) -> None:
        """Press the key under the pointer."""
        if label := self._at(event.x):
            if label.is_enabled:
                self.app.simulate_key(label.key)
            else:
                self.app.bell()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Show in a tooltip what the key under the pointer does."""
        label = self._at(event.x)
        self.tooltip = label.tooltip if label else None

    def on_leave(self, _event: Leave) -> None:
        self.tooltip = None

    def _at(self, x: int) -> _KeyLabel | None:
        return next((label for left, label in self._columns() if left <= x < left + label.width), None)

    def _columns(self) -> Iterator[tuple[int, _KeyLabel]]:
        left = 0
        if not self._labels:
            return
        *keys, palette = self._labels
        yield self.size.width - palette.width, palette
        for label in keys:
            yield left, label
            left += label.width + len(_GAP)
