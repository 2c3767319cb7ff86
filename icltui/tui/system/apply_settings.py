"""Apply the user's config to the app: theme, keys, animation.

The theme is that of ``--theme``, else of TEXTUAL_THEME, else of the config file, else the one last chosen in the
palette, which is remembered in the state folder.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from textual.app import App
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from icltui.storage.atomic import write_atomically
from icltui.storage.config import Config, unknown_choice
from icltui.storage.paths import state_folder
from icltui.tui.actions import ACTIONS, EVERY_ACTION
from icltui.tui.actions.action import USER_KEYS
from icltui.tui.system.keymap import keymap
from icltui.tui.system.theme import DARK, THEMES
from icltui.values.errors import BadInput, SessionError

DEFAULT_THEME, FEW_COLOURS_THEME = DARK.name, "ansi-dark"
"""The second is for terminals of 16 colours, which would show another theme in its nearest colours."""


def apply_config(app: App[None], config: Config, theme: str = "") -> tuple[str, ...]:
    """Set up ``app`` before it runs; ``theme`` wins over the config. A line for each setting that cannot be used."""
    default = FEW_COLOURS_THEME if app.console.color_system == "standard" else DEFAULT_THEME
    for own in THEMES:
        app.register_theme(own)
    app.theme, theme_faults = choose_theme(theme, config, known_themes(), default)
    keys, key_faults = keymap(config.keys)
    USER_KEYS.clear()
    USER_KEYS.update(keys)
    app.set_keymap(keys)
    if config.animation == "off" or (config.animation == "auto" and os.environ.get("SSH_CONNECTION")):
        app.animation_level = "none"
    elif config.animation == "on":
        app.animation_level = "full"
    return (*theme_faults, *key_faults)


def bind_without_usual_key(screen: Screen[None]) -> None:
    """Bind the user's keys of actions without a usual key; Textual's keymap only changes existing bindings."""
    for action in ACTIONS:
        if not action.keys and action.id in USER_KEYS:
            screen._bindings.bind(USER_KEYS[action.id], action.action, action.label, show=False)


def check_theme(name: str) -> None:
    """Refuse the theme of ``--theme`` before the screen is there.

    Raises:
        BadInput: it is not known.
    """
    if name and name not in known_themes():
        raise BadInput(f"--theme {name!a} is not known: one of {', '.join(known_themes())}")


def known_themes() -> list[str]:
    """The names of our themes and of Textual's, ours first."""
    return [*(theme.name for theme in THEMES), *sorted(BUILTIN_THEMES)]


def choose_theme(
    asked: str, config: Config, known: list[str], default: str = DEFAULT_THEME
) -> tuple[str, tuple[str, ...]]:
    """The first theme asked for that is known, else ``default``, and a line for each one passed over."""
    faults: list[str] = []
    for name, refusal in _asked_themes(asked, config, known):
        if name in known:
            return name, tuple(faults)
        if refusal:
            faults.append(refusal)
    return default, tuple(faults)


def _asked_themes(asked: str, config: Config, known: list[str]) -> Iterator[tuple[str, str]]:
    """The themes asked for in order of precedence, each with the line that refuses it."""
    if asked:
        yield asked, ""
    for name in filter(None, map(str.strip, os.environ.get("TEXTUAL_THEME", "").split(","))):
        yield name, f"TEXTUAL_THEME: theme {name!a} is not known: one of {', '.join(known)}"
    if config.theme:
        yield config.theme, unknown_choice(config.theme, "theme", known)
    yield remembered_theme(), ""


def remembered_theme() -> str:
    """The theme last chosen in the palette, or nothing."""
    with suppress(OSError, SessionError, UnicodeDecodeError):
        return (state_folder() / "theme").read_text(encoding="utf-8").strip()
    return ""


def remember_theme(name: str) -> None:
    """Remember the theme for the next start, where the state folder can be written."""
    with suppress(OSError, SessionError):
        write_atomically(state_folder() / "theme", name.encode())


def keys_in_force(keys: dict[str, str]) -> dict[str, str]:
    """The keys of every action by its id; ``keys`` replace the usual ones."""
    return {action.id: keys.get(action.id, action.keys) for action in EVERY_ACTION}
