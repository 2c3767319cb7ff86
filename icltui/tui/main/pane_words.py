"""What the focused pane is called."""

from collections.abc import Sequence

from textual.dom import DOMNode
from textual.widget import Widget

_WORDS = {
    "exam-patches": "the exam",
    "exam-answers": "the exam's answers",
    "lane-context": "the lane with context",
    "lane-plain": "the query's lane",
    "lane-patched": "the patched lane",
}


def around(widget: Widget | None) -> Sequence[DOMNode]:
    """The widget itself and what it is in, the nearest first."""
    return widget.ancestors_with_self if widget else ()


def name_of(widget: Widget | None) -> str:
    """What a pane is called in a file's name."""
    return (widget and widget.id) or "pane"


def words_for(widget: Widget | None) -> str:
    """What a pane is called in a sentence."""
    return _WORDS.get(name := name_of(widget), name)
