"""Which patch acts in which of the user's models: one at a time, and none while the engine works on the model."""

from threading import Lock
from weakref import WeakKeyDictionary

from torch import nn

from icltui.values.errors import BadInput

_ACTING: "WeakKeyDictionary[nn.Module, object]" = WeakKeyDictionary()
"""The mark of the patch in each model: the patch itself holds its model, which would never leave memory then."""
_LOCK = Lock()


def acting_in(model: nn.Module) -> object | None:
    """The mark of the patch that acts in the model; None where none does."""
    return _ACTING.get(model)


def begin(model: nn.Module, mark: object) -> None:
    """From now on the patch of that mark acts in the model.

    Raises:
        BadInput: one does already.
    """
    with _LOCK:
        check_unpatched(model)
        _ACTING[model] = mark


def end(model: nn.Module) -> None:
    """No patch acts in the model any more."""
    with _LOCK:
        _ACTING.pop(model, None)


def check_unpatched(model: nn.Module) -> None:
    """Refuse a model in which a patch acts.

    Raises:
        BadInput: saying what to do.
    """
    if model in _ACTING:
        raise BadInput(
            "a patch acts in this model, and whatever was made of it now would be of the patched model: leave its with "
            "block first; one patch of two contexts is compiled from both"
        )
