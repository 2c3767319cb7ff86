"""A line such as ``alpha 0 0.5 1`` becomes the settings of the runs that it asks for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from icltui.api.option import Option
from icltui.api.option_table import OPTIONS
from icltui.tui.state.run_settings import RunSettings
from icltui.values.errors import BadInput
from icltui.values.prompt import resolve_layers

MOST_RUNS = 256
"""In one fan; more layers than any model has that fits a machine."""
_GROUPS = ("patch", "text", "prompt", "method")
_TEXTS = ("context", "query", "queries", "other_context", "background")
"""Texts and files do not fit in a line."""
NEED = "alpha 0 0.5 1, alpha 0:2:0.25, mode, or layers each"


@dataclass(frozen=True)
class Variation:
    """One value of what is varied."""

    name: str
    """The option's."""
    value: str
    """As it was asked for."""
    settings: RunSettings
    """The whole of what is asked."""

    @property
    def words(self) -> str:
        """Such as ``α 0.5``."""
        return f"{self.name} {self.value}"


def variations(
    line: str, settings: RunSettings, n_layers: int, refused: Mapping[int, str]
) -> tuple[Variation, ...]:
    """The runs that ``line`` asks for: an option's name, then its values; without any, all that it may have.

    ``0:2:0.25`` is from 0 to 2 in steps of 0.25; ``layers each`` is each ticked layer alone.

    Raises:
        BadInput: an option or a value that there is not, or more than :data:`MOST_RUNS`.
    """
    words = line.split()
    if not words:
        raise BadInput(f"what is varied is missing: write {NEED}")
    option = _option(words[0])
    name = option.label or option.field.replace("_", " ")
    asked: dict[RunSettings, Variation] = {}
    for text in _texts(option, words[1:], settings, n_layers, refused):
        one = _with(option, text, settings, n_layers, refused)
        asked.setdefault(one, Variation(name, text, one))
        if len(asked) > MOST_RUNS:
            raise BadInput(f"more than {MOST_RUNS} runs: take fewer values")
    return tuple(asked.values())


def _option(word: str) -> Option:
    for option in OPTIONS:
        if option.group not in _GROUPS or option.field in _TEXTS or not _is_choice(option):
            continue
        if word.lstrip("-").lower() in (
            option.field,
            option.title,
            *(flag.lstrip("-") for flag in option.names),
        ):
            return option
    raise BadInput(f"{word!r} cannot be varied: write {NEED}")


def _is_choice(option: Option) -> bool:
    try:
        RunSettings().value_of(option)
    except AttributeError:
        return False
    return True


def _texts(
    option: Option, words: Sequence[str], settings: RunSettings, n_layers: int, refused: Mapping[int, str]
) -> Iterator[str]:
    if option.field == "layers" and [*words] in ([], ["each"]):
        yield from map(str, settings.chosen(n_layers, refused))
    elif words:
        for word in words:
            yield from _steps(word) if float in option.types or int in option.types else (word,)
    elif option.choices and str not in option.types and float not in option.types:
        yield from option.choices
    elif bool in option.types:
        yield from ("off", "on")
    else:
        raise BadInput(f"{option.field.replace('_', ' ')} is given no value: write {NEED}")


def _steps(word: str) -> Iterator[str]:
    """The values of ``first:last:step``, or ``word`` itself."""
    if word.count(":") != 2:
        yield word
        return
    try:
        first, last, step = map(float, word.split(":"))
        n_steps = round((last - first) / step, 6)
        n_values = int(n_steps) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        raise BadInput(f"{word!r} is not first:last:step: write three numbers such as 0:2:0.25") from None
    if not 1 <= n_values <= MOST_RUNS:
        raise BadInput(
            f"{word!r} has {'no value' if n_values < 1 else 'too many values'}: take 1 to {MOST_RUNS}"
        )
    for at in range(n_values):
        yield f"{round(first + at * step, 9):.12g}"


def _with(
    option: Option, text: str, settings: RunSettings, n_layers: int, refused: Mapping[int, str]
) -> RunSettings:
    if option.field == "layers":
        return settings.ticked(resolve_layers(text, n_layers, refused), n_layers, refused)
    if bool in option.types:
        if text not in ("on", "off"):
            raise BadInput(f"{text!r} not known: use on, off")
        return settings.with_value(option, text == "on")
    return settings.with_value(option, option.read(text))
