"""Server-sent events (WHATWG HTML, *Server-sent events*): what a job sends, as its client reads it.

event: UnitsMeasured        one for each event of the engine, its JSON on one line
data: {"type":"UnitsMeasured",…}

: the job goes on           a comment, now and then while nothing happens

event: answer               the last: the lines of the answer's JSON
data: {
data: "model": …

event: error                or this one
data: {"error":{…}}
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from icltui.api.messages import Event
from icltui.serve.http.error_answer import error_json
from icltui.serve.job_desk import DeskJob
from icltui.values.errors import IcltuiError

QUIET = 10.0
"""Seconds of silence after which a comment says that the job goes on."""
MEDIA_TYPE = "text/event-stream"
ANSWER, ERROR = "answer", "error"
"""The names of the last event of a stream, which is one of both."""
_GOES_ON = b": the job goes on\n\n"
_encoder = msgspec.json.Encoder()


async def next_event(job: DeskJob) -> Event | None:
    """The job's next event; None where nothing happens for :data:`QUIET` seconds.

    Raises:
        StopAsyncIteration: the job has ended.
        IcltuiError: the job has failed.
    """
    try:
        async with asyncio.timeout(QUIET):
            return await anext(job)
    except TimeoutError:
        return None


async def stream(
    job: DeskJob, first: Event | None, answer: Callable[[], Awaitable[str]]
) -> AsyncGenerator[bytes, None]:
    """The events of ``job``, of which ``first`` was taken already, and in the end its ``answer`` or its error."""
    event = first
    try:
        while True:
            yield _GOES_ON if event is None else _event(type(event).__name__, _encoder.encode(event))
            try:
                event = await next_event(job)
            except StopAsyncIteration:
                break
        yield _event(ANSWER, (await answer()).encode())
    except IcltuiError as error:
        yield _event(ERROR, error_json(error))


def _event(name: str, data: bytes) -> bytes:
    r"""An event, whose data may have several lines.

    >>> _event("answer", b'{\n "a": 1\n}\n')
    b'event: answer\ndata: {\ndata:  "a": 1\ndata: }\n\n'
    """
    lines = b"".join(b"data: " + line + b"\n" for line in data.split(b"\n") if line)
    return b"event: " + name.encode() + b"\n" + lines + b"\n"
