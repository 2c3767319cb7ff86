"""Whatever goes wrong while a model loads, as one line with a way out.

transformers, the hub, safetensors and a model's own code each raise their own errors; a :class:`ModelError` leaves.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from icltui.engine.models.background_thread import Cancelled
from icltui.values.errors import IcltuiError, ModelError, rust_panic_error


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Errors inside the block become a line about the model ``name``; progress bars and warnings are off.

    Raises:
        ModelError: with what is wrong and what to do.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # By default transformers asks a service of the hub to convert pickles, and loads what that offers.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (IcltuiError, Cancelled):
        raise
    except BaseException as error:
        if (reason := _reason(error)) is None:
            raise
        raise ModelError(f"model {name!r} {reason}") from error


def _reason(error: BaseException) -> str | None:
    """What is wrong with the model and what to do; None where the error is not the model's."""
    match error:
        case torch.OutOfMemoryError() | MemoryError():
            return "does not fit into memory: try --dtype bfloat16, --device cpu or a smaller model"
        case SafetensorError():
            return f"has a safetensors file that is damaged or cut off: download it again ({error})"
        case UnpicklingError():  # torch's own words would say how to run the code
            return "has a pickle that is damaged or holds more than tensors: it was not read"
        case SystemExit():  # only the model's own code ends this thread
            return "comes with code that ends the program: it was not loaded"
        case Exception() if "trust_remote_code=True" in str(error):
            return "comes with code of its own, which was not run: if you trust it, give --trust-remote-code"
        case Exception():
            return f"could not be loaded: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    panic = rust_panic_error(error)
    return None if panic is None else f"could not be loaded: {panic}"
