"""The panes of the explorer with the keys that lead to them, and which of them are tabs of one frame."""

PANES = (
    *("context", "query", "layers", "stream", "plots", "heatmap", "verify", "log", "lanes"),
    *("text", "exam", "curves", "heads"),
)
"""In the order of their keys: 1 to 9, 0, x, u and t."""
TABS = ("stream", "plots", "heatmap", "verify", "exam", "curves", "heads", "log", "text")
"""Those that are tabs of one frame."""
ROWS_SCREEN = "rows"
"""The screen of rows, where a folder is browsed."""
_KEYS = "1234567890xut"


def key_of(pane: str) -> str:
    """The key that leads to a pane."""
    return _KEYS[PANES.index(pane)]
