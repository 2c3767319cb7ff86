"""The form of the settings that are typed: strength, fit, controls, tests, sampling, units."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import Input, Static

from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.safe_text import content
from icltui.tui.state.run_settings import RunSettings
from icltui.tui.state.settings_form import SETTINGS, texts_of, with_texts
from icltui.tui.widgets.bindings import cancel_key, key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.values.errors import BadInput


class SettingFields(VerticalScroll, can_focus=False):
    """The fields, which scroll; the arrows go from field to field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("settings.down", "down", "app.focus_next", "Down", "To the next field"),
        key_binding("settings.up", "up", "app.focus_previous", "Up", "To the field before"),
    ]


class SettingsDialog(Dialog[RunSettings | None]):
    """Closes with the settings as the fields say, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("settings", "Leave everything as it is")]

    def __init__(self, settings: RunSettings) -> None:
        super().__init__()
        self._work = settings

    def compose(self) -> ComposeResult:
        texts = texts_of(self._work)
        with DialogFrame("Patch, text and units", "↑ ↓ moves · enter accepts all · esc cancels", "form"):
            with SettingFields():
                for setting in SETTINGS:
                    with Horizontal():
                        yield Static(setting.title, classes="label", markup=False)
                        field = LineInput(texts[setting.field], id=setting.field, compact=True)
                        yield field
                        yield Static(setting.hint, classes="remark", markup=False)
            yield Static("", id="meaning", markup=False)
            yield Static("", classes="error", markup=False)

    @on(DescendantFocus)
    def explain(self, event: DescendantFocus) -> None:
        """Show the whole sentence about the focused field, which may be cut beside it."""
        helps = {setting.field: setting.hint for setting in SETTINGS}
        self.query_one("#meaning", Static).update(content(helps.get(event.widget.id or "", "")))

    @on(Input.Submitted)
    def take(self) -> None:
        """Close with all fields, or say which one is wrong."""
        texts = {field.id or "": field.value for field in self.query(Input)}
        try:
            settings = with_texts(self._work, texts)
        except BadInput as error:
            self.say(str(error))
        else:
            self.dismiss(settings)
