"""How many widgets the explorer's first screen has."""

import asyncio

from icltui.api.messages import Listener, LoadModel, Request
from icltui.bench.terminal import SIZE
from icltui.tui.app import IcltuiApp


class _Nobody:
    """A client that never answers."""

    async def start(self, listener: Listener) -> None: ...

    def submit(self, request: Request) -> int:  # noqa: ARG002
        return 1

    def cancel(self, job: int) -> None: ...

    async def kill(self) -> None: ...

    async def close(self) -> None: ...


def count_widgets() -> int:
    """All widgets below the screen, containers too."""
    return asyncio.run(_count())


async def _count() -> int:
    app = IcltuiApp(_Nobody(), LoadModel())
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        return len(app.screen.walk_children())
