"""``icltui.Session``; ``session.pyi`` beside it says the same to type checkers and editors, without the engine."""

from icltui.notebook.notebook_session import NotebookSession as Session

__all__ = ["Session"]
