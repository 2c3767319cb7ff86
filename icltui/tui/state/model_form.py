"""The form of the model dialog: texts of a request to load, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icltui.api.messages import DEMO, LoadModel
from icltui.api.option import Option
from icltui.api.option_table import options_of
from icltui.values.errors import BadInput

_TRUST, _NOTHING = "trust", "nothing"


@dataclass(frozen=True)
class Field:
    """One line of the form."""

    name: str
    label: str
    hint: str


_TYPED: tuple[Option, ...] = tuple(option for option in options_of(LoadModel) if option.hint)
_SWITCHES = {option.label: option for option in options_of(LoadModel) if bool in option.types}
"""The options of trust, by their word in the form."""
FIELDS = (
    *(Field(option.field, option.title, option.hint) for option in _TYPED),
    Field(_TRUST, _TRUST, f"{', '.join([_NOTHING, *_SWITCHES])}: what may run"),
)


def texts_of(load: LoadModel) -> dict[str, str]:
    """The texts of the form."""
    texts = {option.field: option.text(getattr(load, option.field)) for option in _TYPED}
    trusted = [word for word, option in _SWITCHES.items() if getattr(load, option.field)]
    return {**texts, _TRUST: ", ".join(trusted) or _NOTHING}


def load_of(model: str, texts: Mapping[str, str], sites: Mapping[str, str]) -> LoadModel:
    """The request of the form's texts; an empty text is the default. The engine judges dtype and device.

    Raises:
        BadInput: no name, or a word that a field does not know.
    """
    if not model.strip():
        raise BadInput("no model: type a Hugging Face id, a folder or a GGUF file, or choose one with ↓")
    trusted = {word for word in texts[_TRUST].replace(",", " ").split() if word != _NOTHING}
    if unknown := sorted(trusted - _SWITCHES.keys()):
        raise BadInput(f"{_TRUST}: {unknown[0]!r} not known: use {', '.join([_NOTHING, *_SWITCHES])}")
    values: dict[str, Any] = {option.field: _read(option, texts[option.field].strip()) for option in _TYPED}
    values |= {option.field: word in trusted for word, option in _SWITCHES.items()}
    return LoadModel(model=model.strip(), sites=dict(sites), **values)


def _read(option: Option, text: str) -> object:
    try:
        return option.read(text) if text else option.default
    except BadInput as error:
        raise BadInput(f"{option.title}: {error}") from error


def choices_text(load: LoadModel) -> str:
    """The choices that are not the defaults, such as ``bfloat16 · cuda:1``, and whether it is the embedded model."""
    defaults, texts = texts_of(LoadModel()), texts_of(load)
    changed = [
        f"trusts {text}" if name == _TRUST else text for name, text in texts.items() if text != defaults[name]
    ]
    return " · ".join(["the embedded model"] * (load.model == DEMO) + changed)


def blank(present: LoadModel) -> LoadModel:
    """The request that the form begins with: no name, and the device of ``present``."""
    return LoadModel(model="", device=present.device, device_map=present.device_map)
