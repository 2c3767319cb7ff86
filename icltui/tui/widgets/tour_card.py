"""The tour's card: what to do next, between the panes and the footer; it hides nothing and takes no key."""

from textual.content import Content
from textual.widgets import Static

from icltui.tui.state.tour import STEPS, Step


class TourCard(Static):
    """The card; hidden while there is no tour."""

    DEFAULT_CSS = """
    TourCard {
        height: auto;
        max-height: 6;
        display: none;
        border: round $accent;
        border-title-style: bold;
        border-subtitle-color: $text-muted;
        padding: 0 1;
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.border_subtitle = "esc ends the tour"

    def show(self, step: Step | None) -> None:
        """Show what ``step`` asks for; None hides the card."""
        self.display = step is not None
        if step is not None:
            self.border_title = Content(f"Tour {STEPS.index(step) + 1} of {len(STEPS)}: {step.title}")
            self.update(Content.assemble(f"{step.text}\n", (step.press, "bold")))
