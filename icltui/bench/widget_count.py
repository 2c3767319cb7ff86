"""The number of widgets on the explorer's first screen."""

import asyncio

from icltui.api.engine import Listener
from icltui.api.messages import LoadModel, Request
from icltui.bench.pseudo_terminal import SIZE
from icltui.tui.app import IcltuiApp


class _SilentClient:
    """A client that never answers."""

    async def start(self, listener: Listener) -> None: ...

    def submit(self, request: Request) -> int:  # noqa: ARG002
        return 1

    def cancel(self, job: int) -> None: ...

    async def kill(self) -> None: ...

    async def close(self) -> None: ...


def count_widgets() -> int:
    """All widgets of the screen, containers included."""
    return asyncio.run(_count())


async def _count() -> int:
    app = IcltuiApp(_SilentClient(), LoadModel())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        return len(app.screen_stack[0].walk_children())  # a dialog may be open over it
