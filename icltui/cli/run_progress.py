"""What an experiment prints on stderr while it runs: a line with a bar on a terminal, else a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from icltui.text.escape import visible

if TYPE_CHECKING:
    from icltui.experiment.run import RunProgress

_CLEAR = "\r\x1b[K"
_BAR = 24
_SECONDS_LIVE, _SECONDS_LOGGED = 0.2, 60.0
"""Between two lines on a terminal, and elsewhere."""


@contextmanager
def show_run_progress(stream: TextIO) -> Iterator[Callable[["RunProgress"], None]]:
    """Yields a listener for the progress; the line on a terminal is erased when the block ends, also by an error."""
    is_live = stream.isatty()
    told = time.monotonic() - _SECONDS_LIVE if is_live else time.monotonic()

    def on_progress(progress: "RunProgress") -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < (_SECONDS_LIVE if is_live else _SECONDS_LOGGED):
            return
        told = now
        stream.write(f"{_CLEAR}{run_line(progress)}" if is_live else f"{run_line(progress, bar=0)}\n")
        stream.flush()

    try:
        yield on_progress
    finally:
        if is_live:
            stream.write(_CLEAR)
            stream.flush()


def run_line(progress: "RunProgress", bar: int = _BAR) -> str:
    """Model, bar, count, rate and time left.

    >>> from icltui.experiment.run import RunProgress
    >>> run_line(RunProgress(model="demo", done=250, total=1000, fresh=100, failed=2, seconds=10.0), bar=8)
    'demo  ██░░░░░░  250 of 1,000 items  10.0/s  1 min 15 s left  2 failed'
    """
    share = progress.done / progress.total if progress.total else 1.0
    parts = [visible(progress.model)]
    parts += [f"{'█' * round(bar * share):░<{bar}}"] if bar else []
    parts += [f"{progress.done:,} of {progress.total:,} items"]
    parts += (
        [f"{progress.rate:.3g}/s".replace("e+03", "e3")] if progress.rate and progress.rate >= 100 else []
    )
    parts += [f"{progress.rate:.1f}/s"] if progress.rate and progress.rate < 100 else []
    parts += [f"{_duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    """A time in its two largest units.

    >>> _duration(3.2), _duration(75), _duration(90000)
    ('3 s', '1 min 15 s', '1 d 1 h')
    """
    rest = round(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
