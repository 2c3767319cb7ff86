"""What one HTTP request asks: an operation's request, and the form in which the answer is wanted.

POST /v1/inference/analyze-icl?stream=true&figure=svg
{"context": …, "query": …, "layers": "0,1"}
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from starlette.requests import Request as HttpRequest

from icltui.api.limits import Limits
from icltui.api.messages import Measure, Request
from icltui.api.operation import Operation
from icltui.serve.http.event_stream import MEDIA_TYPE
from icltui.serve.http.request_body import read_object
from icltui.values.errors import BadInput

FIGURE = "figure"
"""The name beside the options that asks for the figure too."""
PARAMETERS: dict[str, tuple[str, ...]] = {"stream": ("true", "false"), FIGURE: ("svg",)}
"""What may be asked for in the address, and its values."""


class HttpQuestion(Struct, frozen=True):
    """One request, and how it is answered."""

    request: Request
    is_streamed: bool
    """Whether the events are sent too, as they come."""
    has_figure: bool
    """Whether the answer holds the measurement's figure."""


async def read_question(request: HttpRequest, operation: Operation, limits: Limits) -> HttpQuestion:
    """What ``request`` asks of ``operation``.

    Raises:
        BadInput: an option or a parameter that is not known, or whose value is not allowed.
        ClientGone, HTTPException, RequestTooLarge: as :func:`.read_object` raises them.
    """
    asked = _parameters(request.query_params)
    values = await read_object(request, limits.body_bytes)
    has_figure = values.pop(FIGURE, False)
    if not isinstance(has_figure, bool):
        raise BadInput(f"{FIGURE} is neither true nor false: give one of them, or leave it out")
    wanted = has_figure or FIGURE in asked
    if wanted and operation.request is not Measure:
        raise BadInput(f"no figure is drawn of {operation.name}: ask for one of a measurement")
    is_streamed = asked.get("stream", "true" if _prefers_events(request) else "false") == "true"
    return HttpQuestion(operation.read(values, is_remote=True), is_streamed, wanted)


def _parameters(given: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in given.items():
        if name not in PARAMETERS:
            raise BadInput(
                f"{name[:40]!r} is no parameter: use {', '.join(PARAMETERS)}; options go into the body"
            )
        if value not in PARAMETERS[name]:
            raise BadInput(f"{name} is {value[:40]!r}: use {' or '.join(PARAMETERS[name])}")
    return given


def _prefers_events(request: HttpRequest) -> bool:
    kinds = [kind.partition(";")[0].strip().lower() for kind in request.headers.get("accept", "").split(",")]
    return MEDIA_TYPE in kinds


def parameter_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each parameter."""
    return {name: {"type": "string", "enum": list(values)} for name, values in PARAMETERS.items()}
