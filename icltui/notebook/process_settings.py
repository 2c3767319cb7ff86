"""What a notebook sets for all its code: the engine does not follow it, and leaves it as it was."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from transformers.utils import logging

_VARIABLES = ("TOKENIZERS_PARALLELISM", "DISABLE_SAFETENSORS_CONVERSION")
"""Environment variables that loading a model sets where they are not set."""

_DEVICES = ("cpu", "cuda", "mps")


@contextmanager
def keeping_process_settings() -> Iterator[None]:
    """After the block: random numbers, matrix precision, messages and environment are as before, whatever it raised.

    Inside it neither autocast nor another default dtype or device than torch's own changes the engine's numbers.
    """
    is_on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if is_on_gpu else ()
    dtype = torch.get_default_dtype()
    precision, allows_tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    verbosity, shows_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=list(gpus)))
            for kind in _DEVICES:
                if torch.is_autocast_enabled(kind):
                    stack.enter_context(torch.autocast(kind, enabled=False))
            if torch.get_default_device().type != "cpu":
                stack.enter_context(torch.device("cpu"))
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = allows_tf32
        logging.set_verbosity(verbosity)
        (logging.enable_progress_bar if shows_bars else logging.disable_progress_bar)()
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
