"""The real engine with the embedded model, for all tests of what is served."""

from collections.abc import Callable, Iterator

from icltui.api import run_to_result
from icltui.api.messages import Event, LoadModel, ModelLoaded, Request
from icltui.engine.local import LocalEngine


class LoadedEngine:
    """The real engine with the embedded model, which is loaded once for all that ask."""

    def __init__(self) -> None:
        self.engine = LocalEngine()
        self.model = run_to_result.load(self.engine, LoadModel())

    def run(self, request: Request, should_stop: Callable[[], bool]) -> Iterator[Event]:
        if isinstance(request, LoadModel):
            yield ModelLoaded(model=self.model)
        else:
            yield from self.engine.run(request, should_stop)
