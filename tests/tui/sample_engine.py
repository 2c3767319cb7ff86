"""An engine without torch that gives the sample numbers; run as a program it is a whole child process.

A context that begins with ``wait`` stops half-way through the numbers until it is told to stop.
"""

import time
from collections.abc import Callable, Iterator

from icltui.api.messages import EstimateModel, Event, Generate, LoadModel, Measure, ModelEstimated, Request
from tests.tui import samples


class SampleEngine:
    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        match request:
            case LoadModel():
                yield samples.LOADED
            case EstimateModel():
                yield ModelEstimated(estimate=samples.ESTIMATE)
            case Measure():
                yield from self._measure(request.prompt.context.startswith("wait"), should_stop)
            case Generate():
                yield from samples.generate(request.lanes)

    def _measure(self, waits: bool, should_stop: Callable[[], bool]) -> Iterator[Event]:
        yield samples.TOKENIZED
        yield samples.chunk(0, 8)
        while waits and not should_stop():
            time.sleep(0.002)
        yield samples.chunk(9, samples.N_UNITS)
        yield samples.MEASURED


if __name__ == "__main__":
    from icltui.worker.server import main

    main(SampleEngine)
