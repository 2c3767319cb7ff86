"""A letter for each pane to jump to: the first of its name that no pane before it has. Without Textual."""

from collections.abc import Iterable

LANES = {"lane-context": "With", "lane-plain": "Only", "lane-patched": "Patched"}
"""The lanes are panes of their own here."""
_ANY = "abcdefghijklmnopqrstuvwxyz"


def targets(panes: Iterable[str]) -> dict[str, str]:
    """Panes with the names that a person reads, the lanes one by one.

    >>> targets(["context", "lanes"])["lane-plain"]
    'Only'
    """
    names: dict[str, str] = {}
    for pane in panes:
        names |= LANES if pane == "lanes" else {pane: pane.capitalize()}
    return names


def letters(names: Iterable[str]) -> list[str]:
    """A letter for each name, all different.

    >>> letters(["Context", "Layers", "Log", "Only", "o"])
    ['c', 'l', 'o', 'n', 'a']
    """
    taken: list[str] = []
    for name in names:
        taken.append(
            next(letter for letter in (*name.lower(), *_ANY) if letter in _ANY and letter not in taken)
        )
    return taken
