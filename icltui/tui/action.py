"""An action: something the user can do, with its keys, its label and its explanation."""

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something the user can do now."""

    id: str
    keys: str
    """As Textual names them, comma-separated; empty for the palette alone. Single letters act outside editors only."""
    action: str
    """The name of the method, without ``action_``, and its arguments."""
    label: str
    """Two words at most: the footer and the palette."""
    help: str
    """One sentence: the tooltip, the help screen and the palette."""
    group: str
    is_in_footer: bool = False
    shown_keys: str = ""
    """The keys as a person reads them; by default made from ``keys``."""

    def binding(self) -> Binding:
        """As Textual wants it."""
        return Binding(
            self.keys, self.action, self.label, show=self.is_in_footer, id=self.id, tooltip=self.help
        )

    def keys_text(self) -> str:
        """The keys for a person: ``^r F5``."""
        return self.shown_keys or " ".join(_key_text(key) for key in self.keys.split(",") if key)


_NAMES = {"question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]", "escape": "esc"}


def _key_text(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    return _NAMES.get(key, key.upper() if key[0] == "f" and key[1:].isdecimal() else key)
