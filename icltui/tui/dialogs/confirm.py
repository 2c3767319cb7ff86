"""A question with two or three answers, one key each."""

from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap
from textual.containers import Vertical
from textual.widgets import Static

from icltui.tui.dialogs.dialog import Dialog, key_hints
from icltui.tui.draw.safe_text import content
from icltui.tui.widgets.bindings import key_binding


class ConfirmDialog(Dialog[str]):
    """Closes with the label of the chosen answer; Escape chooses the last one.

    Args:
        question: one line.
        answers: keys with their labels, the harmless one last.
    """

    def __init__(self, question: str, answers: dict[str, str]) -> None:
        super().__init__()
        self._question, self._answers = question, answers
        keys = [*answers.items(), ("escape", list(answers.values())[-1])]
        self._bindings = BindingsMap.merge(
            [self._bindings, BindingsMap(_answer(key, label) for key, label in keys)]
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog small"):
            yield Static(content(self._question))
            yield Static(key_hints(self._answers.items()), classes="answers")

    def action_answer(self, label: str) -> None:
        """Close with this answer."""
        self.dismiss(label)


def _answer(key: str, label: str) -> Binding:
    return key_binding(f"answer.{key}", key, f"answer({label!r})", label, f"Answer: {label}")


UNSAVED = {"s": "Save", "d": "Discard", "c": "Cancel"}
"""What to do with work that is not saved."""
OVERWRITE = {"o": "Overwrite", "c": "Cancel"}
"""What to do about a file that is there."""


class UnsavedDialog(ConfirmDialog):
    """Asks what becomes of unsaved work."""

    def __init__(self, title: str) -> None:
        super().__init__(f"{title} has unsaved changes.", UNSAVED)
