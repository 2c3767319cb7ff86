"""The text of an answer: the JSON of the operation's command, with the figure in it where that was asked for.

Both are made outside the event loop: a long measurement's JSON in a thread, its figure in a process.
"""

import asyncio

import msgspec

from icltui.api.collect import Collected
from icltui.report.answer import answer_json
from icltui.report.json_document import as_json
from icltui.serve.http.question import FIGURE
from icltui.system.figure_process import draw_figure
from icltui.values import ModelInfo, Session
from icltui.values.errors import BadInput, TimedOut

DRAWING = 60.0
"""Seconds that a figure may take, its wait for others included."""


class AnswerWriter:
    """Writes the answers of one server; one figure is drawn at a time."""

    def __init__(self) -> None:
        self._drawing = asyncio.Lock()

    async def write(self, model: ModelInfo, collected: Collected, has_figure: bool) -> str:
        """The answer to ``collected``'s request.

        Raises:
            EngineError: the job ended without a result, or a number in it is not finite.
            BadInput: there is nothing to draw, or nothing to draw with.
            TimedOut: the figure took too long.
        """
        text = await asyncio.to_thread(answer_json, model, collected.request, collected)
        if not has_figure:
            return text
        figure = await self._draw(model, collected)
        return await asyncio.to_thread(_joined, text, figure)

    async def _draw(self, model: ModelInfo, collected: Collected) -> str:
        measurement, prompt = collected.measurement, getattr(collected.request, "prompt", None)
        if measurement is None or prompt is None or not measurement.rows:
            raise BadInput("there is nothing to draw: a figure is drawn of a measurement with a unit or more")
        session = Session(prompt=prompt, model=model, measurement=measurement)
        try:
            async with asyncio.timeout(DRAWING), self._drawing:
                return (await draw_figure(session, "svg")).decode()
        except TimeoutError:
            raise TimedOut(
                f"the figure was not drawn within {DRAWING:g} s: ask for fewer layers, or for no figure"
            ) from None


def _joined(text: str, figure: str) -> str:
    return as_json({**msgspec.json.decode(text), FIGURE: figure})
