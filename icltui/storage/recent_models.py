"""The models that were loaded before, with the choices they were loaded by: a small file in the state folder.

The file is a convenience: one that is damaged, or made by another program, counts as none.
"""

import contextlib
import time
from pathlib import Path

import msgspec

from icltui.api.messages import DEMO, LoadModel
from icltui.storage.atomic import write_atomically
from icltui.storage.paths import state_folder
from icltui.values import ModelInfo
from icltui.values.errors import SessionError

MOST = 20
"""The number of models that are remembered."""
_MOST_BYTES = 2**20


class Recent(msgspec.Struct, frozen=True):
    """A model, and the engine's command where the user gave one: folders of its machine are not folders of this one."""

    load: LoadModel
    place: str = ""
    moment: float = 0.0
    """When it was loaded last, in seconds since 1970; 0 where that was not written."""
    n_layers: int = 0
    n_parameters: int = 0
    dtype: str = ""
    """What it was computed in."""


def recent_models(place: str = "") -> tuple[LoadModel, ...]:
    """The models loaded by this engine command, newest first; the embedded one is always among them."""
    return tuple(recent.load for recent in recent_loads(place))


def recent_loads(place: str = "") -> tuple[Recent, ...]:
    """The same, each with when it was loaded and what it was."""
    loads = [recent for recent in _read() if recent.place == place]
    is_listed = any(recent.load.model == DEMO for recent in loads)
    return tuple(loads if is_listed else [*loads, Recent(LoadModel(), place)])


def remember_model(load: LoadModel, place: str = "", model: ModelInfo | None = None) -> None:
    """Put a model at the top of the list; where that cannot be written the list stays as it is."""
    facts = (model.n_layers, model.n_parameters, model.dtype) if model else ()
    newest = Recent(load, place, time.time(), *facts)
    others = [r for r in _read() if (r.load.model, r.place) != (load.model, place)]
    with contextlib.suppress(OSError, SessionError, UnicodeEncodeError):
        write_atomically(_path(), msgspec.json.encode([newest, *others][:MOST]))


def _path() -> Path:
    return state_folder() / "recent.json"


def _read() -> list[Recent]:
    try:
        with _path().open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=list[Recent])[:MOST]
    except (OSError, SessionError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
