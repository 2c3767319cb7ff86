"""The model dialog's fields: a request to load enters and leaves as the texts that a person types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, get_args

from icltui.api.messages import DEMO, DeviceMap, LoadModel
from icltui.values import Quantize
from icltui.values.errors import BadInput

_Word = TypeVar("_Word", bound=str)
_NOTHING, _PICKLES, _CODE = "nothing", "pickles", "code"


@dataclass(frozen=True)
class Field:
    """One line of the form."""

    name: str
    help: str


FIELDS = (
    Field("dtype", "auto, float32, bfloat16, float16, float64"),
    Field("device", "auto, cpu, cuda, cuda:N, mps"),
    Field("quantize", "none, 8bit, 4bit (by bitsandbytes)"),
    Field("spread", "none, auto, balanced, sequential: over GPUs"),
    Field("revision", "a branch, tag or commit on the hub"),
    Field("trust", "nothing, pickles, code: what may run"),
)


def texts_of(load: LoadModel) -> dict[str, str]:
    """What the fields show."""
    trusted = [_PICKLES] * load.allow_pickle + [_CODE] * load.trust_remote_code
    return {
        "dtype": load.dtype,
        "device": load.device,
        "quantize": load.quantize,
        "spread": load.device_map,
        "revision": load.revision or "",
        "trust": ", ".join(trusted) or _NOTHING,
    }


def load_of(model: str, texts: Mapping[str, str], sites: Mapping[str, str]) -> LoadModel:
    """The request that the fields make; an empty one has its usual value. Dtype and device are the engine's to judge.

    Raises:
        BadInput: no name, or a word that a field does not know.
    """
    if not model.strip():
        raise BadInput("no model: type a Hugging Face id or a folder, or choose one with ↓")
    words = {name: text.strip() for name, text in texts.items()}
    trusted = {word for word in words["trust"].replace(",", " ").split() if word != _NOTHING}
    if unknown := sorted(trusted - {_PICKLES, _CODE}):
        raise BadInput(f"trust {unknown[0]!r} not known: use {_NOTHING}, {_PICKLES}, {_CODE}")
    return LoadModel(
        model=model.strip(),
        revision=words["revision"] or None,
        dtype=words["dtype"] or "auto",
        device=words["device"] or "auto",
        device_map=_one_of("spread", words["spread"] or "none", get_args(DeviceMap)),
        quantize=_one_of("quantize", words["quantize"] or "none", get_args(Quantize)),
        allow_pickle=_PICKLES in trusted,
        trust_remote_code=_CODE in trusted,
        sites=dict(sites),
    )


def choices_text(load: LoadModel) -> str:
    """What of a model's choices is not as usual: ``bfloat16 · cuda:1``; of the embedded model, what it is."""
    usual, texts = texts_of(LoadModel()), texts_of(load)
    told = [
        f"trusts {text}" if name == "trust" else text for name, text in texts.items() if text != usual[name]
    ]
    return " · ".join(["the embedded model"] * (load.model == DEMO) + told)


def blank(present: LoadModel) -> LoadModel:
    """What the form begins with beside ``present``: no name, on the same device."""
    return LoadModel(model="", device=present.device, device_map=present.device_map)


def _one_of(name: str, word: str, words: tuple[_Word, ...]) -> _Word:
    found = next((known for known in words if known == word), None)
    if found is None:
        raise BadInput(f"{name} {word!r} not known: use {', '.join(words)}")
    return found
