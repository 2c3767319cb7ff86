"""Bare Textual applications, whose first paint is the least that the explorer's can take.

``python -m icltui.bench.bare_textual_app 26`` shows 26 texts in rows of containers; with ``panes`` instead of the
number it shows Textual's own widgets for the explorer's panes: two editors, lists, a table of 17 rows, tabs and three
texts that scroll.
"""

import sys
from typing import Any

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import ContentSwitcher, DataTable, OptionList, RichLog, Static, TextArea

PER_ROW = 5
"""Texts in a row."""


class BareApp(App[None]):
    """Rows of texts."""

    CSS = "Horizontal { height: 1fr; } Static { width: 1fr; border: round $foreground 30%; }"

    def __init__(self, n_widgets: int) -> None:
        super().__init__()
        self._n_widgets = n_widgets

    def compose(self) -> ComposeResult:
        """``n_widgets`` widgets, texts and rows together."""
        left = self._n_widgets
        while left:
            n_texts = min(PER_ROW, left - 1)
            yield Horizontal(*(Static(f"text {left - at}") for at in range(n_texts)))
            left -= n_texts + 1


class PanesApp(App[None]):
    """The explorer's panes, made of Textual's own widgets."""

    AUTO_FOCUS = "DataTable"
    CSS = """
    #left { width: 40; }
    TextArea, OptionList, ContentSwitcher, VerticalScroll { border: round $foreground 30%; height: 1fr; }
    #lanes { height: 13; }
    .line { height: 1; }
    """

    def compose(self) -> ComposeResult:
        """Widgets in the explorer's number and layout."""
        yield Static("a model, a session, what is going on", classes="line")
        with Horizontal():
            with Vertical(id="left"):
                yield TextArea("The capital of France is Rome.\nThe capital of Spain is Cairo.\n")
                yield TextArea("The capital of France is")
                yield OptionList(*(f"layer {at} ▁▂▃▄▅▆▇█" for at in range(6)))
            with Vertical():
                with ContentSwitcher(initial="table"):
                    yield DataTable[Any](id="table")
                    yield Static("plots", id="plots")
                    yield Static("heatmap", id="heatmap")
                    yield VerticalScroll(id="proof")
                    yield RichLog(id="log")
                with Horizontal(id="lanes"):
                    for lane in range(3):
                        yield VerticalScroll(Static(f"text {lane} " * 9), Static("next token\n" * 5))
        yield Static("too small", classes="line")
        yield Static("^r Run  ^q Quit", classes="line")

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        table.add_columns(*"# token norm rate share net next p".split())
        table.add_rows(
            [[str(at), "token", "0.985", "7.1e-03", "0.02", "1.04", "Paris", "0.495"] for at in range(17)]
        )


if __name__ == "__main__":
    (PanesApp() if sys.argv[1] == "panes" else BareApp(int(sys.argv[1]))).run()
