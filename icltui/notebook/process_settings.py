"""What is set for the whole process, as it was: a notebook has its own random numbers, precision and messages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers.utils import logging

_VARIABLES = ("TOKENIZERS_PARALLELISM", "DISABLE_SAFETENSORS_CONVERSION")
"""Environment variables that loading a model sets where they are not set."""


@contextmanager
def keeping_process_settings() -> Iterator[None]:
    """After the block: random numbers, matrix precision, messages and environment are as before, whatever it raised."""
    is_on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if is_on_gpu else ()
    precision, allows_tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    verbosity, shows_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        with torch.random.fork_rng(devices=list(gpus)):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = allows_tf32
        logging.set_verbosity(verbosity)
        (logging.enable_progress_bar if shows_bars else logging.disable_progress_bar)()
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
