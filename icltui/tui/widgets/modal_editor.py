"""The editors of context and query as the screen has them: letters are commands until the user begins to write.

Writing begins by ``i`` or enter, by a second click, and in a new session by itself; escape ends it. A paste is text in
either mode, so that nobody's paste runs commands.
"""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Key, Paste

from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.messages import Noticed
from icltui.tui.widgets.prompt_editor import PromptEditor

WRITES, ENDS = "i or ⏎ writes", "writing, esc ends"
"""What the title says in either mode."""


def _at_once(id: str, key: str, action: str, label: str, tooltip: str) -> Binding:
    return Binding(key, action, label, tooltip=tooltip, id=id, show=False, priority=True)


class ModalEditor(PromptEditor):
    """An editor that takes letters as text only while the user writes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # What begins writing acts before the next key is handed out, which is text, even where it could be a jump.
        # What ends it waits for the letters before it, which the editor takes in their turn.
        Binding("i,enter", "write", "Write", tooltip="Write at the cursor", id="editor.write", priority=True),
        Binding(
            "escape", "end_writing", "Done", tooltip="End writing: letters are commands", id="editor.end"
        ),
        _at_once("editor.next", "tab", "go_on(1)", "Next", "Write in the next editor"),
        _at_once("editor.previous", "shift+tab", "go_on(-1)", "Previous", "Write in the previous editor"),
        key_binding("editor.left", "h", "cursor_left", "Left", "One character left"),
        key_binding("editor.down", "j", "cursor_down", "Down", "One row down"),
        key_binding("editor.up", "k", "cursor_up", "Up", "One row up"),
        key_binding("editor.right", "l", "cursor_right", "Right", "One character right"),
        key_binding("editor.first", "g", "move_first", "Top", "To the beginning"),
        key_binding("editor.last", "G", "move_last", "Bottom", "To the end"),
        key_binding("editor.half_down", "ctrl+d", "half_down", "Half down", "Half a page down"),
        key_binding("editor.half_up", "ctrl+u", "half_up", "Half up", "Half a page up"),
    ]

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        super().__init__(title, id=id, placeholder=placeholder)
        # Set without its watcher, which would style an editor that is on no screen yet.
        self.set_reactive(ModalEditor.read_only, True)
        self.add_class("-read-only", update=False)
        self.neighbours: dict[int, ModalEditor] = {}
        """The editors that tab (1) and shift+tab (-1) lead to while the user writes."""
        self._was_clicked = self._is_warned = False

    # The mode.

    @property
    def takes_text(self) -> bool:
        """Whether letters are text now."""
        return not self.read_only

    def action_write(self) -> None:
        """Take letters as text from now on."""
        self._set_mode(takes_text=True)

    def action_end_writing(self) -> None:
        """Take letters as commands from now on."""
        self._set_mode(takes_text=False)

    def _set_mode(self, *, takes_text: bool) -> None:
        if takes_text != self.takes_text:
            self.read_only = not takes_text
            self.history.checkpoint()
            self.draw_title()
            self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Some keys mean something only while the user writes, or only while not."""
        match action:
            case "write":
                return not self.takes_text
            case "end_writing":
                return self.takes_text
            case "go_on":
                return self.takes_text and parameters[0] in self.neighbours
        return super().check_action(action, parameters)

    @property
    def heading(self) -> Content:
        """The title, and while the focus is here what begins or ends writing."""
        if not self.has_focus:
            return super().heading
        words, style = (ENDS, "$accent") if self.takes_text else (WRITES, "not bold $text-muted")
        return Content.assemble(super().heading, (f" · {words}", style))

    def watch_has_focus(self, has_focus: bool) -> None:
        """Leaving ends writing; nobody finds letters to be text where they come back. Another window is no leaving."""
        if not has_focus and self.app.app_focus and self.screen.focused is not self:
            self._was_clicked = False
            self.action_end_writing()
        self.draw_title()

    # Keys.

    def on_key(self, event: Key) -> None:
        """Read Alt and a letter as Escape and that letter; warn once of letters that are commands."""
        if self.takes_text and event.key.startswith("alt+") and event.is_printable:
            event.stop()
            event.prevent_default()
            self.action_end_writing()
            self.app.post_message(Key(str(event.character), event.character))
        elif not self.takes_text and event.is_printable and not self._is_warned:
            self._warn(event)

    def _warn(self, event: Key) -> None:
        if (event.character or "").isalpha() and event.key not in self._bindings.key_to_bindings:
            self._is_warned = True
            self.post_message(Noticed("letters are commands here: i or ⏎ writes, esc ends writing", False))

    def action_go_on(self, step: int) -> None:
        """Write in the editor ``step`` further."""
        self.neighbours[step].focus_to_write()

    def focus_to_write(self) -> None:
        """Focus here, and take letters as text at once: the next key may be one."""
        self.screen.set_focus(self)
        self.action_write()

    def action_move_first(self) -> None:
        """To the beginning."""
        self.move_cursor(self.document.start)

    def action_move_last(self) -> None:
        """To the end."""
        self.move_cursor(self.document.end)

    def action_half_down(self) -> None:
        """Half a page down; while the user writes, delete to the right, as everywhere that text is written."""
        self.action_delete_right() if self.takes_text else self._move_rows(self.content_size.height // 2)

    def action_half_up(self) -> None:
        """Half a page up; while the user writes, delete to the beginning of the line."""
        if self.takes_text:
            self.action_delete_to_start_of_line()
        else:
            self._move_rows(-(self.content_size.height // 2))

    def _move_rows(self, n: int) -> None:
        self.move_cursor(self.navigator.get_location_at_y_offset(self.cursor_location, n))

    # Pastes and clicks.

    def on_paste(self, _event: Paste) -> None:
        """Let a paste be text in either mode; the classes below insert it."""
        if self.read_only:
            self.set_reactive(ModalEditor.read_only, False)
            self.call_next(self.set_reactive, ModalEditor.read_only, True)

    def on_click(self, event: Click) -> None:
        """The first click focuses, the second one writes; one that ends a selection does neither."""
        if (self._was_clicked or event.chain > 1) and self.selection.is_empty:
            self.action_write()
        self._was_clicked = True
