"""The user's settings: ``config.toml`` in the platform's config folder.

A file enters, a :class:`Config` leaves, together with one line for each thing in it that cannot be used. A fault costs
the setting that it is in and nothing else, so no config keeps the program from starting.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from icltui.storage.paths import shown, user_folder
from icltui.storage.text_file import decode_utf8, read_bytes, utf8_problem
from icltui.values.errors import reason_of

NAME = "config.toml"
SIZE_LIMIT = 2**20
"""Bytes."""
COLOUR_SYSTEMS = {"16": "standard", "256": "256", "truecolor": "truecolor"}
"""Each colour depth as Textual names it; ``auto`` leaves the choice to what the terminal says of itself."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the file may say; the defaults are what counts without one."""

    theme: str = ""
    """A theme's name; empty: the one chosen last in the palette, or the default."""
    model: str = ""
    """A model as ``--model`` takes it, used where neither ``--model`` nor a session says another; empty: the demo."""
    colours: Literal["auto", "16", "256", "truecolor"] = "auto"
    """How many colours the terminal shows."""
    graphics: Literal["auto", "kitty", "sixel", "off"] = "auto"
    """By which protocol the figure is shown in pixels; auto: what the terminal answers that it has."""
    log: str = ""
    """URL of the database that the explorer writes its measurements to, as ``--log`` takes it; empty: none."""
    mouse: bool = True
    """Whether the mouse is the explorer's; without, the terminal selects text with it as usual."""
    launcher: bool = True
    """Whether a start without a session offers the last ones and the examples."""
    animation: Literal["auto", "on", "off"] = "auto"
    """Whether things slide; auto: not over SSH."""
    keys: dict[str, str] = {}
    """Keys by the id of an action, several with commas between them."""


def config_path() -> Path:
    """Where the file is, or would be."""
    return user_folder("config") / NAME


def read_config(path: Path) -> tuple[Config, tuple[str, ...]]:
    """What the file says, and a line for each fault; without a file the defaults."""
    try:
        table = tomllib.loads(decode_utf8(read_bytes(path, SIZE_LIMIT)))
    except FileNotFoundError:
        return Config(), ()
    except OSError as error:
        return Config(), (f"{shown(path)} cannot be read: {reason_of(error)}",)
    except UnicodeDecodeError as error:
        return Config(), (f"{NAME}: {utf8_problem(error)}: save it as UTF-8",)
    except tomllib.TOMLDecodeError as error:
        return Config(), (f"{NAME}: {_one_line(str(error))}: nothing in it is used until that is fixed",)
    except ValueError as error:
        return Config(), (f"{NAME}: {error}: nothing in it is used",)
    taken = [_take(name, value) for name, value in table.items()]
    values = {name: value for part, _ in taken for name, value in part.items()}
    return Config(**values), tuple(fault for _, faults in taken for fault in faults)


def unknown_choice(value: str, kind: str, known: list[str]) -> str:
    """The line that refuses ``value``, which is none of the ``known`` ones."""
    return f"{NAME}: {kind} {value!a} is not known: one of {', '.join(known)}"


def _take(name: str, value: Any) -> tuple[dict[str, Any], list[str]]:
    """One setting as far as it can be used, and what is wrong with it."""
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    if name not in fields:
        return {}, [unknown_choice(name, "setting", list(fields))]
    if name == "keys" and isinstance(value, dict):
        texts = {key: text for key, text in value.items() if isinstance(text, str) and text.strip()}
        wrong = [key for key in value if key not in texts]
        return {name: texts}, [
            f'{NAME}: keys of {_one_line(key)} must be a text such as "ctrl+r,f5"' for key in wrong
        ]
    try:
        return {name: msgspec.convert(value, fields[name].type)}, []
    except msgspec.ValidationError:
        return {}, [f"{NAME}: {name} = {_one_line(repr(value))} cannot be used: {_needed(fields[name].type)}"]


def _needed(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    return {str: "a text is needed", bool: "true or false is needed"}.get(kind, "a table of keys is needed")


def _one_line(text: str) -> str:
    shown_ = "".join(c if c.isprintable() else "?" for c in text)
    return shown_ if len(shown_) <= 120 else shown_[:119] + "…"
