"""The form of settings that are typed rather than changed by a key: the options with a hint, but for the model's.

:func:`texts_of` makes texts of the settings; :func:`with_texts` makes settings of texts, or names the field that is
wrong.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from icltui.api.option import Option
from icltui.api.option_table import OPTIONS, check_options
from icltui.storage.paths import file_path, typed_path
from icltui.storage.query_file import read_queries
from icltui.tui.state.run_settings import RunSettings
from icltui.values.errors import BadInput

SETTINGS: tuple[Option, ...] = tuple(option for option in OPTIONS if option.hint and option.group != "model")
"""In the order of the form."""
_MOST_TOKENS = 4096
_MOST_BYTES = 2**20
"""Largest file of queries in bytes: it is read while the screen waits."""


def texts_of(settings: RunSettings) -> dict[str, str]:
    """The texts of the form, by the options' fields."""
    return {option.field: _text(option, settings) for option in SETTINGS}


def with_texts(settings: RunSettings, texts: Mapping[str, str]) -> RunSettings:
    """``settings`` with the changed fields of the form.

    Raises:
        BadInput: naming the field, its value and what to give instead.
    """
    changed = settings
    for option in SETTINGS:
        if (text := texts[option.field]) != _text(option, settings):
            changed = _changed(changed, option, text)
    check_options(changed.recipe)
    return changed


def with_text(settings: RunSettings, option: Option, text: str) -> RunSettings:
    """``settings`` with one option, whatever form has it.

    Raises:
        BadInput: naming the option, its value and what to give instead.
    """
    changed = _changed(settings, option, text)
    check_options(changed.recipe)
    return changed


def text_of(option: Option, settings: RunSettings) -> str:
    """The option's value as :func:`with_text` takes it; of a list its length."""
    value = settings.value_of(option)
    return ("on" if value else "off") if isinstance(value, bool) else _text(option, settings)


def _changed(settings: RunSettings, option: Option, text: str) -> RunSettings:
    try:
        return settings.with_value(option, _read(option, text))
    except BadInput as error:
        raise BadInput(f"{option.title}: {error}") from error


def _text(option: Option, settings: RunSettings) -> str:
    value = settings.value_of(option)
    if tuple in option.types:  # too long for a line: their number, and a file's name may be typed
        return f"({len(value)})" if value else ""
    return _one_line(option.text(value)) if _is_free_text(option) else option.text(value)


def _read(option: Option, text: str) -> Any:
    if bool in option.types:
        if (word := text.strip()) not in ("on", "off"):
            raise BadInput(f"{word!r} not known: use on, off")
        return word == "on"
    if tuple in option.types:
        return queries_of_file(text) if text.strip() else ()
    if option.names_file:
        return file_path(_lines(text.strip()))
    value = option.read(_lines(text) if _is_free_text(option) else text.strip())
    if option.field == "n_tokens" and value > _MOST_TOKENS:
        raise BadInput(f"{value} is out of range: give 1 to {_MOST_TOKENS}")
    return value


def _is_free_text(option: Option) -> bool:
    return str in option.types and not option.choices


_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = {escape[1]: character for character, escape in _SHORT.items()}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|.)")


def _one_line(text: str) -> str:
    """``text`` on one line, with escapes that :func:`_lines` turns back."""
    return "".join(_SHORT.get(c, c if c.isprintable() else _escaped(c)) for c in text)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 2**16 else f"\\U{ord(character):08x}"


def _lines(text: str) -> str:
    return _ESCAPE.sub(lambda match: _meant(match[1]), text)


def _meant(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _LONG.get(escape, escape)


def queries_of_file(text: str) -> tuple[str, ...]:
    """The queries in the file that is named as typed, with ``@`` before its name or without.

    Raises:
        BadInput: no such file, none of queries, or one too large to be read while the screen waits.
    """
    path = typed_path(text.strip().removeprefix("@"))
    if os.path.exists(path) and not (path.is_file() and path.stat().st_size <= _MOST_BYTES):
        raise BadInput(
            f"{str(path)!r} is not a file of queries of at most {_MOST_BYTES:,} bytes: name another"
        )
    return read_queries(path)
