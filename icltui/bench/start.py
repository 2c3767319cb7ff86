"""Seconds from the start of ``icltui measure`` to its result and to its end, by part, beside importing torch alone.

:class:`StartSettings` enter; :class:`StartResults` leave. Every run is a fresh process; the command itself, the same
in parts, and torch alone take turns.
"""

import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

from icltui.api.messages import DEMO
from icltui.api.progress_callback import ProgressCallback
from icltui.bench.start_parts import Part, Start
from icltui.system.child_environment import child_environment, own_command
from icltui.values.errors import BadInput, EngineError, ModelError

CONTEXT = "The capital of France is Rome. The capital of Spain is Cairo."
QUERY = " The capital of France is"


@dataclass(frozen=True)
class StartSettings:
    """The model, and how often each program is started."""

    model: str = ""
    """Empty: the embedded model."""
    dtype: str = ""
    """Empty: as the command chooses it."""
    repeat: int = 5

    @property
    def commands(self) -> tuple[list[str], list[str], list[str]]:
        """torch alone, the command, and the command in parts."""
        named = {"--model": self.model, "--dtype": self.dtype}
        given = [word for name, value in named.items() if value for word in (name, value)]
        in_parts = (CONTEXT, QUERY, self.model or DEMO, self.dtype or "auto")
        return (
            [sys.executable, "-P", "-c", "import torch"],
            own_command("measure", "-c", CONTEXT, "-q", QUERY, *given),
            own_command(*in_parts, module="icltui.bench.start_parts"),
        )


@dataclass(frozen=True)
class StartResults:
    """Medians; a process is a :class:`~icltui.bench.start_parts.Part` of its own."""

    settings: StartSettings
    torch: Part
    whole: Part
    parts: tuple[Part, ...]
    """The last of them is what is left: the process's beginning and its end."""
    n_times_taken: float
    """Bytes of tensors taken out of the files of weights, over the bytes in the files."""


def time_start(settings: StartSettings, on_progress: ProgressCallback) -> StartResults:
    """Start each program ``settings.repeat`` times, in turns.

    Raises:
        BadInput: the command refuses the settings.
        ModelError: the command refuses the model.
        EngineError: one of them fails otherwise, with the last line that it wrote.
    """
    found: tuple[list[tuple[Part, bytes]], ...] = ([], [], [])
    for done in range(settings.repeat):
        on_progress("starting", done, settings.repeat)
        for runs, command in zip(found, settings.commands, strict=True):
            runs.append(_run(command))
    torch, whole, _ = ([part for part, _ in runs] for runs in found)
    starts = [msgspec.json.decode(said, type=Start) for _, said in found[2]]
    ends = [_end(part, start) for (part, _), start in zip(found[2], starts, strict=True)]
    each = [[*start.parts, end] for start, end in zip(starts, ends, strict=True)]
    return StartResults(
        settings,
        _median(torch),
        _median(whole),
        tuple(_median(runs) for runs in zip(*each, strict=True)),
        median(start.n_bytes_taken / start.n_bytes_in_files for start in starts),
    )


def _run(command: Sequence[str]) -> tuple[Part, bytes]:
    """The seconds of one process from its start to its end, and its stdout."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=child_environment(), capture_output=True, check=False)
    clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        for kind in (BadInput, ModelError):  # what was given is at fault, in icltui's own words
            if done.returncode == kind.exit_code and last.startswith("icltui: "):
                raise kind(last.removeprefix("icltui: "))
        raise EngineError(f"{shlex.join(command)} failed with {done.returncode}: {last or 'it said nothing'}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Part("whole", cpu, clock), done.stdout


def _end(whole: Part, start: Start) -> Part:
    """What is left of a process beside its parts: the time until its first line, and from its last one on."""
    return Part(
        "beginning and end",
        whole.cpu - sum(part.cpu for part in start.parts),
        whole.clock - sum(part.clock for part in start.parts),
    )


def _median(runs: Sequence[Part]) -> Part:
    """The medians of one part's runs."""
    middle = {field: median(getattr(run, field) for run in runs) for field in ("cpu", "clock")}
    return Part(runs[0].name, middle["cpu"], middle["clock"], runs[0].n_passes)
