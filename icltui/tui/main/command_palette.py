"""The command palette over the screen that shows: what it offers there, and what happens with the answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from textual.screen import Screen

from icltui.report.session_formats import FORMAT_TITLES
from icltui.storage.manual import TOPICS
from icltui.storage.recent_models import recent_models
from icltui.tui.actions import ACTIONS
from icltui.tui.actions.action import Action
from icltui.tui.actions.palette_entries import PaletteOffers, Word
from icltui.tui.actions.rows import ROW_ACTIONS
from icltui.tui.dialogs.palette import Palette
from icltui.tui.main.screen import ExplorerScreen
from icltui.tui.state.model_form import choices_text
from icltui.tui.state.session_list import known_sessions
from icltui.tui.system.apply_settings import known_themes

_ANYWHERE = tuple(action for action in ACTIONS if action.id in ("quit", "theme"))


def offered(screen: Screen[Any]) -> list[Action]:
    """The actions that ``screen`` has."""
    tables = {"action_run_prompt": ACTIONS, "action_sort_rows": (*ROW_ACTIONS, *_ANYWHERE)}
    found = (table for name, table in tables.items() if hasattr(screen, name))
    return [action for action in next(found, ()) if action.group]


def open_palette(screen: Screen[Any], text: str = "") -> None:
    """Show the palette over ``screen``, and let that run what is chosen."""
    if isinstance(screen, ExplorerScreen):
        explorer = screen.explorer
        screen.editors.take()
        offers = PaletteOffers(offered(screen), explorer.settings, explorer.layers_of)
        place = explorer.models.place
    else:
        offers, place = PaletteOffers(offered(screen)), ""

    def run(action: str | None) -> None:
        if action:
            screen.call_later(screen.run_action, action)

    screen.app.push_screen(Palette(offers, text, lambda: argument_words(place)), run)


def argument_words(place: str) -> Mapping[str, Sequence[Word]]:
    """What the arguments of actions can be; it reads folders."""
    now = datetime.now()
    return {
        "theme": [Word(name) for name in known_themes()],
        "help": [Word(topic, words) for topic, words in TOPICS.items()],
        "export": [Word(kind, title) for kind, title in FORMAT_TITLES.items()],
        "model": [Word(load.model, choices_text(load)) for load in recent_models(place)],
        "open": [
            Word(entry.name, entry.lesson or entry.when(now), str(entry.path)) for entry in known_sessions()
        ],
    }
