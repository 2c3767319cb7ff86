"""``icltui config``: where everything is kept, and the settings in force."""

import argparse
import json
import os
from pathlib import Path

from icltui.storage.config import Config, config_path, read_config
from icltui.storage.database.destination import destination, spool_folder, spool_of
from icltui.storage.database.spool import Spool, SpoolError
from icltui.storage.paths import examples_folder, sessions_folder, shown, state_path
from icltui.system.streams import print_error, print_text
from icltui.text.escape import visible
from icltui.values.errors import BadInput


def config(args: argparse.Namespace) -> int:  # noqa: ARG001
    """Print the settings in force as a config file; returns 2 if something in the user's file cannot be used."""
    from icltui.tui.system.apply_settings import choose_theme, keys_in_force, known_themes
    from icltui.tui.system.keymap import keymap

    path = config_path()
    settings, faults = read_config(path)
    theme, theme_faults = choose_theme("", settings, known_themes())
    log, log_faults = _log(settings.log)
    keys, key_faults = keymap(settings.keys)
    print_text(
        "\n".join([*_places(path), "", *_values(settings, theme, log), "", *_keys(keys_in_force(keys))])
    )
    every_fault = (*faults, *theme_faults, *log_faults, *key_faults)
    for fault in every_fault:
        print_error(f"icltui: {visible(fault)}")
    return 2 if every_fault else 0


def _places(path: Path) -> list[str]:
    """Each path as a comment, since the output is a config file."""
    state = state_path()
    places = {
        "config": path,
        "sessions": sessions_folder().absolute(),
        "examples": examples_folder(),
        "autosaves": state / "autosave",
        "engine log": state / "engine.log",
        "crash log": state / "crash.log",
    }
    width = max(len(shown(place)) for place in places.values())
    lines = [f"# {name:<10}  {shown(place):<{width}}  {_state(place)}" for name, place in places.items()]
    return [*lines, *_waiting()]


def _waiting() -> list[str]:
    """A line for each database that has not taken all that was measured for it."""
    files = sorted(spool_folder().glob("*.sqlite"))
    return [f"# for a log   {shown(path)}  {words}" for path in files if (words := _n_waiting(path))]


def _n_waiting(path: Path) -> str:
    try:
        n = len(Spool(path))
    except SpoolError as error:
        return str(error).removeprefix(f"{shown(path)} ")
    return f"{n:,} {'waits' if n == 1 else 'wait'} for the next start with its --log" if n else ""


def _log(url: str) -> tuple[str, list[str]]:
    """The database of the settings as it may be shown, and what is wrong with it."""
    try:
        if url:
            spool_of(url)
        return url and destination(url), []
    except BadInput as error:
        return "", [f"config.toml: log: {error}"]


def _state(place: Path) -> str:
    return "there" if os.path.lexists(place) else "not there yet"


def _values(settings: Config, theme: str, log: str) -> list[str]:
    values: dict[str, str | bool] = {"theme": theme, "model": settings.model, "colours": settings.colours}
    values["log"] = log
    values |= {"mouse": settings.mouse, "launcher": settings.launcher, "animation": settings.animation}
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]


def _keys(keys: dict[str, str]) -> list[str]:
    lines = (f"{id} = {json.dumps(text)}" if text else f'# {id} = ""' for id, text in keys.items())
    return ["[keys]", *lines]
