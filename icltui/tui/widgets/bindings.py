"""Key bindings of widgets and dialogs: they act where the focus is, and the footer does not list them."""

from textual.binding import Binding, BindingType


def key_binding(id: str, keys: str, action: str, label: str, tooltip: str) -> Binding:
    """A binding that the footer does not show; ``id`` is what a keymap calls it."""
    return Binding(keys, action, label, show=False, tooltip=tooltip, id=id)


def cancel_key(dialog: str, tooltip: str) -> Binding:
    """Escape, which closes a dialog with None."""
    return key_binding(f"{dialog}.cancel", "escape", "dismiss(None)", "Cancel", tooltip)


def first_and_last(pane: str) -> list[BindingType]:
    """The keys that lead to the first and the last unit."""
    return [
        key_binding(f"{pane}.first", "g,home", "move_first", "First unit", "To the first unit"),
        key_binding(f"{pane}.last", "G,end", "move_last", "Last unit", "To the last unit"),
    ]


def pages(pane: str) -> list[BindingType]:
    """The keys that move by half a page and by a page."""
    return [
        key_binding(f"{pane}.half_down", "ctrl+d", "move_page(0.5)", "Half down", "Half a page down"),
        key_binding(f"{pane}.half_up", "ctrl+u", "move_page(-0.5)", "Half up", "Half a page up"),
        key_binding(f"{pane}.page_down", "pagedown", "move_page(1)", "Page down", "A page down"),
        key_binding(f"{pane}.page_up", "pageup", "move_page(-1)", "Page up", "A page up"),
    ]
