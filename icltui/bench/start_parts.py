"""The parts from start to result, timed in the process that goes through them: ``python -m icltui.bench.start_parts``.

Enters: a context, a query, a model and its dtype. Leaves: a :class:`Start` as JSON on stdout. The process does what
``icltui measure`` does, one import after the other; a part of loading is what the engine itself reports as a stage.
"""

import sys
import time

import msgspec

from icltui.api import run_to_result
from icltui.api.messages import Event, LoadModel, Measure, Progress
from icltui.bench.tensor_reads import TensorReads
from icltui.system.permanent_imports import import_for_good
from icltui.values.prompt import Prompt

IMPORTS = {
    "command line": "icltui.cli.main",  # by name alone: a benchmark sees no command
    "torch": "torch",
    "transformers": "transformers",
    "transformers' models": "transformers.modeling_utils",
    "interp_engine": "interp_engine.arch",
    "our engine": "icltui.engine.local",
}
"""Modules by part, each with all that it imports and the parts before it have not."""


class Part(msgspec.Struct, frozen=True):
    """One part of the way, in seconds."""

    name: str
    cpu: float
    """CPU time of all threads."""
    clock: float
    n_passes: int = 0
    """Forward passes that the engine reports in it."""


class Start(msgspec.Struct, frozen=True):
    """The parts in their order, and what was taken out of the files of weights."""

    parts: tuple[Part, ...]
    n_bytes_taken: int
    n_bytes_in_files: int


class _Laps:
    """Ends a part, and begins the next."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.cpu, self.clock = 0.0, time.perf_counter()
        self.end("interpreter")  # and what this module imports

    def end(self, name: str, n_passes: int = 0) -> None:
        cpu, clock = time.process_time(), time.perf_counter()
        self.parts.append(Part(name, cpu - self.cpu, clock - self.clock, n_passes))
        self.cpu, self.clock = cpu, clock


def main(context: str, query: str, model: str, dtype: str) -> None:
    """Go from start to result once."""
    laps = _Laps()
    for part, module in IMPORTS.items():
        import_for_good(module)
        laps.end(part)
    with TensorReads() as reads:
        _measure(Prompt(context=context, query=query), LoadModel(model=model, dtype=dtype), laps)
    start = Start(tuple(laps.parts), reads.n_bytes_taken, reads.n_bytes_in_files)
    print(msgspec.json.encode(start).decode())  # noqa: T201 -- for the parent


def _measure(prompt: Prompt, request: LoadModel, laps: _Laps) -> None:
    from icltui.engine.local import LocalEngine  # timed by its name
    from icltui.report.measure_tables import measure_table  # timed with the report

    engine, stage, passes = LocalEngine(), "looking it up", set[int]()

    def on_event(event: Event) -> None:
        nonlocal stage
        if not isinstance(event, Progress):
            return
        if _part_of(event) != stage:
            laps.end(stage, len(passes))
            stage = _part_of(event)
            passes.clear()
        if event.total and not event.stage.startswith("loading"):
            passes.add(event.done)

    info = run_to_result.load(engine, request, on_event)
    laps.end(stage, len(passes))
    result = run_to_result.measure(engine, Measure(prompt=prompt))
    laps.end("measuring")
    measure_table(info, prompt, result, 120)
    laps.end("report")


def _part_of(event: Progress) -> str:
    """The part that a stage of loading is: the stage that counts bytes reads the weights."""
    if not event.stage.startswith("loading"):
        return event.stage
    return "reading its weights" if event.total else "looking it up"


if __name__ == "__main__":
    main(*sys.argv[1:])
