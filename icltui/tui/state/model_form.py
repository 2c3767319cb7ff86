"""The model dialog's fields: a request to load enters and leaves as the texts that a person types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icltui.api.messages import DEMO, LoadModel
from icltui.api.option import Option
from icltui.api.options import options_of
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
"""What may be trusted, by its word."""
FIELDS = (
    *(Field(option.field, option.title, option.hint) for option in _TYPED),
    Field(_TRUST, _TRUST, f"{', '.join([_NOTHING, *_SWITCHES])}: what may run"),
)


def texts_of(load: LoadModel) -> dict[str, str]:
    """What the fields show."""
    texts = {option.field: option.text(getattr(load, option.field)) for option in _TYPED}
    trusted = [word for word, option in _SWITCHES.items() if getattr(load, option.field)]
    return {**texts, _TRUST: ", ".join(trusted) or _NOTHING}


def load_of(model: str, texts: Mapping[str, str], sites: Mapping[str, str]) -> LoadModel:
    """The request that the fields make; an empty one has its usual value. Dtype and device are the engine's to judge.

    Raises:
        BadInput: no name, or a word that a field does not know.
    """
    if not model.strip():
        raise BadInput("no model: type a Hugging Face id or a folder, or choose one with ↓")
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
    """What of a model's choices is not as usual: ``bfloat16 · cuda:1``; of the embedded model, what it is."""
    usual, texts = texts_of(LoadModel()), texts_of(load)
    told = [
        f"trusts {text}" if name == _TRUST else text for name, text in texts.items() if text != usual[name]
    ]
    return " · ".join(["the embedded model"] * (load.model == DEMO) + told)


def blank(present: LoadModel) -> LoadModel:
    """What the form begins with beside ``present``: no name, on the same device."""
    return LoadModel(model="", device=present.device, device_map=present.device_map)
