"""What a headless command prints on stderr while its model loads: its size and, on a terminal, the progress.

The embedded model loads in silence, so that a script's stderr holds nothing but errors.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from icltui.api.messages import DEMO, Event, ModelEstimated, Progress
from icltui.text.escape import visible
from icltui.text.units import in_bytes
from icltui.values import Estimate

_CLEAR = "\r\x1b[K"
_MOST_PASSES = 9_999
"""Largest total that counts passes; a larger total counts bytes."""


@contextmanager
def show_load_progress(stream: TextIO, name: str) -> Iterator[Callable[[Event], None]]:
    """Yields a listener for the job's events; the line of progress is erased when the block ends, also by an error."""
    is_live = stream.isatty()

    def on_event(event: Event) -> None:
        if isinstance(event, ModelEstimated) and name != DEMO:
            stream.write((_CLEAR if is_live else "") + estimate_line(name, event.estimate) + "\n")
        elif isinstance(event, Progress) and is_live:
            stream.write(_CLEAR + progress_line(event))
            stream.flush()

    try:
        yield on_event
    finally:
        if is_live:
            stream.write(_CLEAR)
            stream.flush()


def estimate_line(name: str, estimate: Estimate) -> str:
    """The size of the model and the memory that is free.

    >>> estimate = Estimate(
    ...     n_parameters=124_439_808, weight_bytes=497_759_232, measure_bytes=2**27, available_bytes=2**34
    ... )
    >>> estimate_line("gpt2", estimate)
    'gpt2: 124 M parameters, 498 MB of weights, a measure adds up to 134 MB, 17.2 GB free'
    """
    return (
        f"{visible(name)}: {_count(estimate.n_parameters)} parameters, {in_bytes(estimate.weight_bytes)} of weights, "
        f"a measure adds up to {in_bytes(estimate.measure_bytes)}, {in_bytes(estimate.available_bytes)} free"
    )


def progress_line(progress: Progress) -> str:
    """The stage, and the progress where it is known.

    >>> progress_line(Progress(stage="loading gpt2", done=2**28, total=2**30))
    'loading gpt2  268 MB of 1.07 GB'
    >>> progress_line(Progress(stage="proving the patch on it", done=3, total=12))
    'proving the patch on it  3 of 12'
    """
    stage = visible(progress.stage)
    if not progress.total:
        return stage
    if progress.total <= _MOST_PASSES:
        return f"{stage}  {progress.done} of {progress.total}"
    return f"{stage}  {in_bytes(progress.done)} of {in_bytes(progress.total)}"


def _count(number: int) -> str:
    """A number of parameters in three digits.

    >>> _count(37_000), _count(7_615_616_512)
    ('37 K', '7.62 B')
    """
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= 0.9995 * unit:
            return f"{number / unit:.3g} {letter}"
    return str(number)
