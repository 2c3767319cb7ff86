"""The panes of the explorer, in the order of their digits, and which of them are tabs of one frame."""

PANES = ("context", "query", "layers", "stream", "plots", "heatmap", "verify", "log", "lanes", "text")
"""In the order of their digits, 1 to 9 and 0."""
TABS = (*PANES[3:8], "text")
"""Those that are tabs of one frame."""


def digit_of(pane: str) -> int:
    """The key that leads to a pane."""
    return (PANES.index(pane) + 1) % 10
