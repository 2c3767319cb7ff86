"""An action: something the user can do, with its keys, its label and its explanation."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from textual.binding import Binding
from textual.keys import format_key

USER_KEYS: dict[str, str] = {}
"""Keys by the id of each action that the user gave others; the app fills it, since Textual has one keymap per app."""


Group = Literal["Run", "What is measured", "Patch", "Look around", "Earlier runs", "Session", "Rows", ""]
"""Under which title the help lists an action; those of none are another key for one that is listed."""


@dataclass(frozen=True)
class Action:
    """Something the user can do now."""

    group: Group
    id: str
    keys: str
    """As Textual names them, comma-separated; empty for the palette alone. Single letters act outside editors only."""
    action: str
    """The name of the method, without ``action_``, and its arguments."""
    label: str
    """Two words at most: the footer and the palette."""
    _: KW_ONLY
    help: str
    """One sentence: the tooltip, the help screen and the palette."""
    is_in_footer: bool = False
    shown_keys: str = ""
    """The keys as a person reads them; by default made from ``keys``."""
    argument: str = ""
    """What the action's method can be given as a text, for the palette's ``/id NAME``; empty: nothing."""
    takes_any: bool = True
    """Whether the argument may be a text that the palette does not list."""

    def binding(self) -> Binding:
        """The binding as Textual takes it."""
        return Binding(
            self.keys, self.action, self.label, show=self.is_in_footer, id=self.id, tooltip=self.help
        )

    def keys_text(self) -> str:
        """The keys for a person: ``^r F5``."""
        if self.id not in USER_KEYS and self.shown_keys:
            return self.shown_keys
        return " ".join(key_text(key) for key in self.keys_now.split(",") if key)

    @property
    def keys_now(self) -> str:
        """The keys in force: the user's own, else ``keys``."""
        return USER_KEYS.get(self.id, self.keys)


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "ampersand": "&",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
}


def key_text(key: str) -> str:
    """One of Textual's keys for a person: ``^r`` for ``ctrl+r``."""
    if key.startswith("ctrl+"):
        return f"^{format_key(key[5:])}"
    return key.upper() if key[0] == "f" and key[1:].isdecimal() else format_key(key)
