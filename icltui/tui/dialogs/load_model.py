"""Which model to load: a field for its name, a list of known models or matching paths, and its options.

The dialog shows the engine's estimate before anything is loaded: the size, and whether it fits.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from icltui.api.messages import LoadModel
from icltui.storage.ollama_store import ollama_models
from icltui.storage.recent_models import Recent, recent_loads
from icltui.text.units import short
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.safe_text import content, display
from icltui.tui.state.model_form import FIELDS, blank, choices_text, load_of, texts_of
from icltui.tui.state.session_list import moment_words
from icltui.tui.state.wanted_model import Models
from icltui.tui.system.path_completion import ModelPath, candidates, completed, is_model, is_path
from icltui.tui.widgets.bindings import cancel_key, key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.values.errors import BadInput

ESTIMATE_AFTER = 0.5
"""Seconds after the last key until the engine is asked about a model that exists."""


Listed = Recent | ModelPath
"""A model that was loaded before or could be, or a path."""


class ModelList(OptionList):
    """The list of models and folders; up from the first goes back to the name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("model.up", "up,k", "up", "Up", "One up, from the first to the name"),
        key_binding("model.down_letter", "j", "cursor_down", "Down", "One down"),
    ]

    def on_focus(self) -> None:
        if self.highlighted is None:
            self.highlighted = 0

    def action_up(self) -> None:
        """Move up, from the first one out of the list."""
        if self.highlighted:
            self.action_cursor_up()
        else:
            self.screen.focus_previous()


class LoadModelDialog(Dialog[LoadModel | None]):
    """Closes with a model to load, or with None.

    Args:
        models: the loaded model, and estimates of others.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        cancel_key("model", "Keep the present model"),
        key_binding("model.estimate", "f2", "estimate", "Estimate", "Estimate its memory, load nothing"),
        key_binding("model.complete", "tab", "complete", "Complete", "Complete a path, or go on"),
        key_binding("model.down", "down", "app.focus_next", "Down", "To the next field"),
        key_binding("model.previous", "up", "app.focus_previous", "Up", "To the field before"),
    ]

    def __init__(self, models: Models) -> None:
        super().__init__()
        self._models = models
        self._sites: dict[str, str] = {}
        self._listed: list[Listed] = []
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        texts = texts_of(blank(self._models.load))
        keys = "enter loads · F2 estimates · tab completes · esc cancels"
        with DialogFrame("Load a model", keys, "form model"):
            yield LineInput(
                id="model", placeholder="Hugging Face id, folder, GGUF file or ollama:NAME", compact=True
            )
            yield ModelList(id="candidates", markup=False)
            with VerticalScroll(can_focus=False):
                for field in FIELDS:
                    with Horizontal():
                        yield Static(field.label, classes="label", markup=False)
                        yield LineInput(texts[field.name], id=field.name, compact=True)
                        yield Static(field.hint, classes="remark", markup=False)
            yield Static("", id="model-estimate", markup=False)
            yield Static("", classes="error", markup=False)

    def on_mount(self) -> None:
        """Begin in the name, above the recent models."""
        self._typed.focus()
        self._list("")

    def on_unmount(self) -> None:
        """Drop the estimate that was asked for."""
        self._models.model_estimate.drop()

    @property
    def _typed(self) -> Input:
        return self.query_one("#model", Input)

    # The list.

    @on(Input.Changed, "#model")
    def follow_name(self, event: Input.Changed) -> None:
        """List what the new name may mean."""
        self._sites = {}
        self._forget_estimate()
        self._list(event.value)

    @work(exclusive=True, group="list")
    async def _list(self, text: str) -> None:
        """List folders of this machine where ``text`` is a path, else recent models."""
        text = text.strip()
        if not is_path(text):
            known = await asyncio.to_thread(self._known)
            words = text.lower().split()
            self._show([one for one in known if all(word in _words(one).lower() for word in words)])
        elif self._models.place:
            self._show([], "the engine runs on another machine: its folders are not known here")
        else:
            found, is_complete = await asyncio.to_thread(lambda: (candidates(text), is_model(text)))
            self._show(found, "" if found or is_complete else "no such folder or GGUF file")
            if is_complete:
                self._estimate_soon()

    def _known(self) -> list[Listed]:
        """The recent models, then those of Ollama and in the current folder, if this machine is the engine's."""
        recent = recent_loads(self._models.place)
        if self._models.place:
            return [*recent]
        names = {one.load.model for one in recent}
        ollama = [
            Recent(replace(blank(self._models.load), model=n)) for n in ollama_models() if n not in names
        ]
        here = [path for path in candidates("./") if path.is_model and path.text not in names]
        return [*recent, *ollama, *here]

    def _show(self, listed: Sequence[Listed], remark: str = "") -> None:
        self._listed = list(listed)
        candidates = self.query_one(ModelList)
        candidates.clear_options()
        candidates.add_options(map(self._option, self._listed))
        candidates.display = bool(self._listed)
        self.say(remark)

    def _option(self, listed: Listed) -> Option:
        if isinstance(listed, ModelPath):
            mark, name, remark = ("●" if listed.is_model else " "), listed.text, "model" * listed.is_model
        else:
            mark, name = ("●" if listed.load == self._models.load else " "), listed.load.model
            remark = _remark(listed)
        return Option(
            Content.assemble(f"{mark} ", content(name), (f"  {display(remark)}", "$foreground-muted"))
        )

    @on(OptionList.OptionHighlighted)
    def take_over(self, highlighted: OptionList.OptionHighlighted) -> None:
        """Fill the fields from the list's cursor."""
        if not self.query_one(ModelList).has_focus:
            return
        listed = self._listed[highlighted.option_index]
        with self.prevent(Input.Changed):
            self._typed.value = listed.text if isinstance(listed, ModelPath) else listed.load.model
            if isinstance(listed, Recent):
                self._sites = listed.load.sites
                for name, text in texts_of(listed.load).items():
                    self.query_one(f"#{name}", Input).value = text
        self._forget_estimate()
        if isinstance(listed, Recent) or listed.is_model:
            self._estimate_soon()

    @on(OptionList.OptionSelected)
    def choose(self, selected: OptionList.OptionSelected) -> None:
        """Load the model; of a folder that is no model, list the folders in it."""
        listed = self._listed[selected.option_index]
        if isinstance(listed, ModelPath) and not listed.is_model:
            self._type(f"{listed.text}/")
        else:
            self.load()

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        """Complete the path as far as it is unique; else move the focus on."""
        text = self._typed.value
        if self.focused is self._typed and is_path(text) and not self._models.place:
            longer = completed(text, await asyncio.to_thread(candidates, text))
            if longer != text:
                self._type(longer)
                return
        self.focus_next()

    def _type(self, text: str) -> None:
        self._typed.focus()
        self._typed.value = text
        self._typed.cursor_position = len(text)

    # What it takes.

    @on(Input.Changed)
    def follow_choice(self) -> None:
        """Drop the estimate, which is of other options."""
        self._forget_estimate()

    def _forget_estimate(self) -> None:
        if self._timer:
            self._timer.stop()
        self.say("")
        self.draw_model_estimate()

    def _estimate_soon(self) -> None:
        if self._timer:
            self._timer.stop()
        self._timer = self.set_timer(ESTIMATE_AFTER, self.action_estimate)

    def action_estimate(self) -> None:
        """Ask the engine how much memory the model takes."""
        if (load := self._wanted()) is not None:
            self._models.model_estimate.ask(load)
            self.draw_model_estimate()

    def draw_model_estimate(self) -> None:
        """Show what is known of the model that the fields describe."""
        model_estimate = self._models.model_estimate
        lines = model_estimate.lines() if model_estimate.load == self._wanted(is_told=False) else []
        self.query_one("#model-estimate", Static).update(Content("\n").join(map(content, lines)))

    # The way out.

    @on(Input.Submitted)
    def load(self) -> None:
        """Close with the model, or say what is wrong."""
        if (load := self._wanted()) is not None:
            self.dismiss(load)

    def _wanted(self, is_told: bool = True) -> LoadModel | None:
        try:
            return load_of(
                self._typed.value,
                {f.name: self.query_one(f"#{f.name}", Input).value for f in FIELDS},
                self._sites,
            )
        except BadInput as error:
            if is_told:
                self.say(str(error))
            return None


def _remark(recent: Recent) -> str:
    """What the model was when it was loaded last, when that was, and the choices that are not the defaults."""
    facts = [
        f"{short(recent.n_parameters)} parameters" if recent.n_parameters else "",
        f"{recent.n_layers} layers" if recent.n_layers else "",
        recent.dtype if recent.load.dtype == "auto" else "",
        choices_text(recent.load),
        moment_words(recent.moment, datetime.now()) if recent.moment else "",
    ]
    return " · ".join(filter(None, facts))


def _words(listed: Listed) -> str:
    """What a model is found by."""
    return listed.text if isinstance(listed, ModelPath) else f"{listed.load.model} {_remark(listed)}"
