"""What is set by typing rather than by a key: the fields of a form, each with its text and the way back from it.

A work enters, texts leave; texts enter, another work leaves, or one line that says which field is wrong and why.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast, get_args

from msgspec.structs import replace as with_changes

from icltui.storage.paths import typed_path
from icltui.storage.query_file import read_queries
from icltui.tui.state.settings import RunSettings
from icltui.values import Precision
from icltui.values.errors import BadInput
from icltui.values.prompt import Bos
from icltui.values.recipe import AlphaSearch, Control, check_recipe, check_sampling

_NONE = ""
_MOST_TOKENS = 4096
_MOST_BYTES = 2**20
"""Of a file of queries: it is read while the screen waits, and a device or a pipe would never end."""


@dataclass(frozen=True)
class Setting:
    """One field of the form."""

    name: str
    label: str
    help: str
    read: Callable[[RunSettings], str]
    write: Callable[[RunSettings, str], RunSettings]


def texts_of(settings: RunSettings) -> dict[str, str]:
    """What the fields show."""
    return {setting.name: setting.read(settings) for setting in SETTINGS}


def with_texts(settings: RunSettings, texts: Mapping[str, str]) -> RunSettings:
    """``work`` as the fields say; a field that was left alone changes nothing.

    Raises:
        BadInput: naming the field, what is wrong with it, and what was needed.
    """
    changed = settings
    for setting in SETTINGS:
        if texts[setting.name] != setting.read(settings):
            changed = _written(changed, setting, texts[setting.name])
    check_recipe(changed.recipe)
    check_sampling(changed.sampling)
    return changed


def _written(settings: RunSettings, setting: Setting, text: str) -> RunSettings:
    try:
        return setting.write(settings, text.strip() if setting.name != "unit" else text)
    except BadInput as error:
        raise BadInput(f"{setting.label}: {error}") from error


def _recipe(settings: RunSettings, **changes: object) -> RunSettings:
    return replace(settings, recipe=with_changes(settings.recipe, **changes))


def _sampling(settings: RunSettings, **changes: object) -> RunSettings:
    return replace(settings, sampling=with_changes(settings.sampling, **changes))


def _prompt(settings: RunSettings, **changes: object) -> RunSettings:
    return replace(settings, prompt=with_changes(settings.prompt, **changes))


def _whole(text: str, need: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{text!r} is no whole number: {need}") from None


def _real(text: str, need: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{text!r} is no number: {need}") from None


def _one_of(text: str, values: tuple[str, ...]) -> str:
    if text not in values:
        raise BadInput(f"{text!r} is none of {', '.join(values)}")
    return text


def _strength(text: str) -> float | AlphaSearch:
    return cast(AlphaSearch, text) if text in get_args(AlphaSearch) else _real(text, "0 to 2, search, or jvp")


def _tokens(text: str) -> int:
    if not 1 <= (n := _whole(text, f"give 1 to {_MOST_TOKENS}")) <= _MOST_TOKENS:
        raise BadInput(f"{n} is out of range: give 1 to {_MOST_TOKENS}")
    return n


def _unit(text: str) -> str:
    if not text:
        raise BadInput("empty: give token, line, sentence, or the text at which to cut")
    return text


_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = {escape[1]: character for character, escape in _SHORT.items()}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|.)")


def _one_line(text: str) -> str:
    """As a field of one line can hold it, so that :func:`_lines` gives it back to the character."""
    return "".join(_SHORT.get(c, c if c.isprintable() else _escaped(c)) for c in text)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 2**16 else f"\\U{ord(character):08x}"


def _lines(text: str) -> str:
    return _ESCAPE.sub(lambda match: _meant(match[1]), text)


def _meant(escape: str) -> str:
    return chr(int(escape[1:], 16)) if len(escape) > 1 else _LONG.get(escape, escape)


def _listed(queries: tuple[str, ...]) -> str:
    """Queries cannot be typed into one line: the field says how many there are, and takes the name of a file."""
    return f"({len(queries)})" if queries else _NONE


def _queries(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    path = typed_path(text.removeprefix("@"))
    if os.path.exists(path) and not (path.is_file() and path.stat().st_size <= _MOST_BYTES):
        raise BadInput(f"{str(path)!r} is no file of queries of at most {_MOST_BYTES:,} bytes: name another")
    return read_queries(path)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "alpha",
        "α",
        "strength, 0 to 2; search: by line search; jvp: to first order",
        lambda settings: str(settings.recipe.alpha),
        lambda settings, text: _recipe(settings, alpha=_strength(text)),
    ),
    Setting(
        "n_fitted",
        "fit",
        "compiled: tokens of the contextual text to fit, behind the query",
        lambda settings: str(settings.recipe.n_fitted),
        lambda settings, text: _recipe(settings, n_fitted=_whole(text, "give 0 or more")),
    ),
    Setting(
        "rank",
        "rank",
        "compiled: cut to this rank; empty: full",
        lambda settings: _NONE if settings.recipe.rank is None else str(settings.recipe.rank),
        lambda settings, text: _recipe(settings, rank=_whole(text, "give 1 or more") if text else None),
    ),
    Setting(
        "ridge",
        "ridge",
        "compiled: penalty, such as 1e-4, where tokens depend on each other",
        lambda settings: f"{settings.recipe.ridge:g}",
        lambda settings, text: _recipe(settings, ridge=_real(text, "give 0 or more")),
    ),
    Setting(
        "queries",
        "fit on",
        "compiled: a file of queries, one a line; empty: the query above",
        lambda settings: _listed(settings.recipe.queries),
        lambda settings, text: _recipe(settings, queries=_queries(text)),
    ),
    Setting(
        "holdout",
        "test on",
        "a file of other queries behind the same context; empty: none",
        lambda settings: _listed(settings.holdout),
        lambda settings, text: replace(settings, holdout=_queries(text)),
    ),
    Setting(
        "control",
        "control",
        "none, random, shuffled or other: what stands in for the patch",
        lambda settings: settings.recipe.control,
        lambda settings, text: _recipe(settings, control=cast(Control, _one_of(text, get_args(Control)))),
    ),
    Setting(
        "other_context",
        "other",
        "for control other: that context, its line ends as \\n",
        lambda settings: _one_line(settings.recipe.other_context),
        lambda settings, text: _recipe(settings, other_context=_lines(text)),
    ),
    Setting(
        "n_tokens",
        "tokens",
        "how many each lane says",
        lambda settings: str(settings.n_tokens),
        lambda settings, text: replace(settings, n_tokens=_tokens(text)),
    ),
    Setting(
        "temperature",
        "temperature",
        "0: the likeliest token each time",
        lambda settings: f"{settings.sampling.temperature:g}",
        lambda settings, text: _sampling(settings, temperature=_real(text, "give 0 or more")),
    ),
    Setting(
        "top_k",
        "top-k",
        "draw from so many of the likeliest; empty: all",
        lambda settings: _NONE if settings.sampling.top_k is None else str(settings.sampling.top_k),
        lambda settings, text: _sampling(settings, top_k=_whole(text, "give 1 or more") if text else None),
    ),
    Setting(
        "top_p",
        "top-p",
        "draw from the likeliest that together reach it",
        lambda settings: f"{settings.sampling.top_p:g}",
        lambda settings, text: _sampling(settings, top_p=_real(text, "give more than 0, at most 1")),
    ),
    Setting(
        "seed",
        "seed",
        "of the text, one noise for all lanes, and of the controls",
        lambda settings: str(settings.sampling.seed),
        lambda settings, text: _recipe(
            _sampling(settings, seed=_whole(text, "give 0 or more")), seed=_whole(text, "give 0 or more")
        ),
    ),
    Setting(
        "unit",
        "unit",
        "token, line, sentence, or the text at which the context is cut",
        lambda settings: _one_line(settings.prompt.unit),
        lambda settings, text: _prompt(settings, unit=_unit(_lines(text))),
    ),
    Setting(
        "bos",
        "special",
        "tokens in front: auto, always or never",
        lambda settings: settings.prompt.bos,
        lambda settings, text: _prompt(settings, bos=cast(Bos, _one_of(text, get_args(Bos)))),
    ),
    Setting(
        "precision",
        "precision",
        "of the measure: model, or float32 with the same weights",
        lambda settings: settings.precision,
        lambda settings, text: replace(
            settings, precision=cast(Precision, _one_of(text, get_args(Precision)))
        ),
    ),
)
"""In the order of the form: the patch, its tests, the text, the prompt, the measure."""
