"""The operations over HTTP: an ASGI application, whose every operation asks the same desk.

``POST`` of a flat JSON object of options; the answer is the JSON that the command of that name prints with ``--format
json``, alone or as the last of the server-sent events that led to it.
"""

from collections.abc import Callable
from functools import cached_property

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from icltui import __version__
from icltui.api.limits import Limits
from icltui.api.operation import OPERATIONS, Operation
from icltui.serve.http.access import HEALTH, KNOWN, Access
from icltui.serve.http.access_log import AccessLog
from icltui.serve.http.addresses import address_of
from icltui.serve.http.answer_text import AnswerWriter
from icltui.serve.http.error_answer import JSON_TYPE, refuse, tell_crash, tell_error, tell_fault
from icltui.serve.http.event_stream import MEDIA_TYPE, next_event, stream
from icltui.serve.http.openapi import DESCRIPTION, MODEL_FACTS, description
from icltui.serve.http.question import HttpQuestion, read_question
from icltui.serve.http.send_answer import in_pieces, send_pieces, unless_gone
from icltui.serve.job_desk import DeskJob, JobDesk
from icltui.values.errors import IcltuiError


def application(
    desk: JobDesk,
    token: str | None = None,
    log: Callable[[str], object] = lambda _line: None,
    log_crash: Callable[[Exception], object] = lambda _error: None,
) -> ASGIApp:
    """The application.

    Args:
        desk: answers the operations; it is open.
        token: what a request must carry; None: it must come from this machine.
        log: takes a line for each request.
        log_crash: takes what nobody foresaw.
    """
    writer = AnswerWriter()
    routes = [
        *(Route(address_of(op), OperationDoor(op, desk, writer), methods=["POST"]) for op in OPERATIONS),
        Route(HEALTH, HealthDoor(desk), methods=["GET", "HEAD"]),
        Route(DESCRIPTION, DescriptionDoor(desk.limits, token is not None), methods=["GET", "HEAD"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Access, token=token, refuse=refuse)],
        exception_handlers={IcltuiError: tell_error, HTTPException: tell_fault, Exception: tell_crash},
    )
    app.router.redirect_slashes = False
    return AccessLog(app, log, log_crash)


class OperationDoor:
    """Where one operation is asked."""

    def __init__(self, operation: Operation, desk: JobDesk, writer: AnswerWriter) -> None:
        self._operation, self._desk, self._writer = operation, desk, writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = await read_question(HttpRequest(scope, receive), self._operation, self._desk.limits)
        await unless_gone(receive, self._answer(question, send))

    async def _answer(self, question: HttpQuestion, send: Send) -> None:
        async with self._desk.job(question.request) as job:
            if question.is_streamed:
                await self._send_events(question, job, send)
                return
            async for _ in job:
                pass
            text = (await self._text(question, job)).encode()
        headers = {"content-type": JSON_TYPE, "content-length": str(len(text))}
        await send_pieces(send, headers, in_pieces(text))

    async def _send_events(self, question: HttpQuestion, job: DeskJob, send: Send) -> None:
        first = await next_event(job)  # what is refused at once still has a status of its own
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", "x-accel-buffering": "no"}
        await send_pieces(send, headers, stream(job, first, lambda: self._text(question, job)))

    async def _text(self, question: HttpQuestion, job: DeskJob) -> str:
        assert self._desk.model is not None
        return await self._writer.write(self._desk.model, job.collected, question.has_figure)


class HealthDoor:
    """Whether the server lives; to whoever may ask it, also with which model and how busy it is."""

    def __init__(self, desk: JobDesk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        health: dict[str, object] = {"status": "ready" if self._desk.is_ready else "starting"}
        if scope.get(KNOWN):
            health |= self._more()
        answer = Response(
            msgspec.json.encode(health) + b"\n", media_type=JSON_TYPE, headers={"cache-control": "no-store"}
        )
        await answer(scope, receive, send)

    def _more(self) -> dict[str, object]:
        model, n_jobs = self._desk.model, self._desk.n_jobs
        return {
            "version": __version__,
            "model": {name: getattr(model, name) for name in MODEL_FACTS} if model is not None else None,
            "busy": n_jobs > 0,
            "queue": max(0, n_jobs - 1),
            "limits": self._desk.limits,
        }


class DescriptionDoor:
    """What the server offers, as OpenAPI."""

    def __init__(self, limits: Limits, has_token: bool) -> None:
        self._limits, self._has_token = limits, has_token

    @cached_property
    def _body(self) -> bytes:
        return msgspec.json.encode(description(self._limits, self._has_token)) + b"\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(self._body, media_type=JSON_TYPE)(scope, receive, send)
