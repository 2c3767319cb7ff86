"""Work on a thread of which only the newest counts: of what is asked for meanwhile, all but the last is dropped."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from textual.dom import DOMNode

Asked = TypeVar("Asked")
Given = TypeVar("Given")


class LatestCall(Generic[Asked, Given]):
    """Calls of one function, one at a time.

    Args:
        node: whose worker waits for the thread.
        call: runs on the thread.
        given: gets what came of the newest call.
        failed: gets the error of the newest call, where it raised one.
    """

    def __init__(
        self,
        node: DOMNode,
        call: Callable[[Asked], Given],
        given: Callable[[Given], object],
        failed: Callable[[Exception], object],
    ) -> None:
        self._node, self._call, self._given, self._failed = node, call, given, failed
        self._asked: Asked | None = None
        self._newest = self._n_done = 0
        self._is_running = False

    @property
    def is_awaited(self) -> bool:
        """Whether something is still to come."""
        return self._n_done < self._newest

    def ask(self, asked: Asked) -> None:
        """Call soon, unless something newer is asked for until then."""
        self._asked = asked
        self._newest += 1
        if not self._is_running:
            self._is_running = True
            self._node.run_worker(self._work())

    def forget(self) -> None:
        """Take nothing of what runs or waits."""
        self._n_done = self._newest

    async def _work(self) -> None:
        try:
            while self.is_awaited and self._asked is not None:
                await self._do(self._asked, self._newest)
        finally:
            self._is_running = False

    async def _do(self, asked: Asked, number: int) -> None:
        failure: Exception | None = None
        try:
            given = await asyncio.to_thread(self._call, asked)
        except Exception as error:  # noqa: BLE001 -- a damaged file can raise anything, and is told in a line
            failure = error
        if number != self._newest or not self.is_awaited:
            return
        self._n_done = number
        if failure is None:
            self._given(given)
        else:
            self._failed(failure)
