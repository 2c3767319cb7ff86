"""Memory that does not suffice: recognised whoever reports it, met with fewer things at a time, told in one line.

Enters: work on a number of things. Leaves: its result on as many as fit, a line in the log for each smaller try, or
an :class:`~icltui.values.errors.OutOfMemory`.
"""

import gc
import re
from collections.abc import Callable, Iterator
from logging import getLogger
from typing import TypeVar

import torch

from icltui.text.units import in_bytes
from icltui.values.errors import OutOfMemory

LOG = getLogger("icltui.engine")
"""What the engine does otherwise than it set out to; the engine sends these lines to whoever runs the job."""
ADVICE = "shorten the context, choose fewer layers, or load a smaller model or dtype"
_WORDS = (
    "can't allocate memory",
    "not enough memory: you tried to allocate",
    "out of memory",
    "_ALLOC_FAILED",  # cuBLAS and cuDNN, whose own memory is outside of torch's allocator
)
"""What the errors say that torch raises as a bare ``RuntimeError``, by device and by operating system."""
_ASKED = re.compile(r"tried to allocate ([\d.]+) ?([KMGT]i?B|bytes)", re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}

Result = TypeVar("Result")


def run_as_fits(
    run: Callable[[int], Result], size: int, of: str, undo: Callable[[], object] = lambda: None
) -> tuple[Result, int]:
    """The result of ``run(n)``, and n: ``size``, halved each time the memory does not suffice.

    ``of`` names the things; ``undo`` is called after each failure, when the tensors of the failed try are gone.

    Raises:
        Exception: the error of ``run``, where it is another one, or where one thing alone does not fit.
    """
    while True:
        try:
            return run(size), size
        except Exception as error:
            if size <= 1 or not is_out_of_memory(error):
                raise
            asked = _asked(error)
            forget_frames(error)
        # After the handler, since the error itself keeps what it passed through.
        undo()
        release_memory()
        more = f" ({in_bytes(asked)} more)" if asked else ""
        LOG.warning(f"the memory does not suffice for {size} {of} at once{more}: going on with {size // 2}")
        size //= 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, is that memory does not suffice, on whatever device."""
    return any(
        isinstance(one, OutOfMemory | MemoryError | torch.OutOfMemoryError)
        or (isinstance(one, RuntimeError) and any(words in _text(one) for words in _WORDS))
        for one in _chain(error)
    )


def shortage_error(error: BaseException, free: int | None = None) -> OutOfMemory:
    """The error to show for ``error``; ``free``: the bytes that are free, where they are known."""
    asked = _asked(error)
    needed = f"{in_bytes(asked)} more were needed" if asked else ""
    there = "" if free is None else f"{in_bytes(free)} {'were' if asked else 'are'} free"
    facts = " and ".join(filter(None, (needed, there)))
    return OutOfMemory(f"out of memory: {f'{facts}: ' if facts else ''}{ADVICE}")


def release_memory() -> None:
    """Give back what the allocator holds without using it, once nothing refers to it any more."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU is in use


def forget_frames(error: BaseException) -> None:
    """Drop the calls that ``error`` and its causes ended, whose variables are tensors of the failed work."""
    for one in _chain(error):
        one.__traceback__ = None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _asked(error: BaseException) -> int | None:
    """The bytes that could not be had, where the error says so."""
    for one in _chain(error):
        if found := _ASKED.search(_text(one)):
            return int(float(found[1]) * _UNITS[found[2][0].lower()])
    return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 -- the class may be the model's own
        return ""
