"""How much a server takes in one request, and how long that may take: the limits, their options and their checks."""

from functools import partial

import msgspec
from msgspec import Meta

from icltui.api.messages import Compile, CountTokens, MeasureCurves, Request
from icltui.api.option import Option
from icltui.values import TokenizedPrompt
from icltui.values.bounds import COUNT, LAYERS, TOKENS
from icltui.values.errors import RequestTooLarge
from icltui.values.prompt import Prompt, resolve_layers


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a server; the command line and Python, whose machine it is, have only those of the values."""

    body_bytes: int = 2**20
    """Bytes of one request."""
    prompt_tokens: int = 4096
    """Tokens of context, query, other queries and other context together."""
    new_tokens: int = 512
    """Tokens to generate in each lane or text, and tokens of a continuation to fit."""
    queries: int = 64
    """Queries besides the prompt's own: each is read after the whole context."""
    layers: int = LAYERS
    """Layers in one request."""
    queue: int = 8
    """Jobs that wait or run."""
    seconds: float = 300.0
    """Seconds until a job's answer, its wait included."""


_limit = partial(Option, of=(Limits,), group="limits", fault="{value} is no limit")


def _count(field: str, what: str, flag: str, least: int, most: int) -> Option:
    return _limit(
        field,
        f"{what} (default {{default}})",
        flags=(flag,),
        metavar="N",
        bounds=Meta(ge=least, le=most),
        need=f"give {least} to {most}",
    )


LIMIT_OPTIONS: tuple[Option, ...] = (
    _count("body_bytes", "bytes of one request", "--max-body", 1, COUNT),
    _count("prompt_tokens", "tokens of all texts of one request", "--max-tokens", 1, TOKENS),
    _count("new_tokens", "tokens to generate or to fit", "--max-new-tokens", 1, TOKENS),
    _count("queries", "queries besides the prompt's own", "--max-queries", 0, 10_000),
    _count("layers", "layers of one request", "--max-layers", 1, LAYERS),
    _count("queue", "jobs that wait or run", "--max-queue", 1, 1024),
    _limit(
        "seconds",
        "until a job's answer, its wait included (default {default})",
        flags=("--timeout",),
        metavar="S",
        bounds=Meta(gt=0, le=86_400),
        need="give more than 0, at most 86400",
    ),
)
"""The options of every server."""


def check_request(request: Request, limits: Limits, n_layers: int) -> None:
    """Refuse what can be refused before an engine is asked: too many layers, queries or tokens to generate.

    ``n_layers`` is the model's.

    Raises:
        RequestTooLarge: naming the value, the limit, and what to make smaller.
        BadInput: layers that the model does not have.
    """
    layers = resolve_layers(getattr(request, "layers", "none"), n_layers)
    _refuse(len(layers), limits.layers, "layers", "name fewer, such as last")
    written = request.n_queries if isinstance(request, Compile) and request.calibrate != "user" else 0
    _refuse(len(_queries(request)) + written, limits.queries, "queries besides the prompt's own", "ask fewer")
    own = request.own_tokens if isinstance(request, MeasureCurves) and request.own_texts else 0
    recipe = getattr(request, "recipe", None)
    fitted = recipe.n_fitted if recipe is not None and recipe.mode == "compiled" else 0
    wanted = max(own, fitted, getattr(request, "n_tokens", 0))
    _refuse(wanted, limits.new_tokens, "tokens to generate or to fit", "ask for fewer")


def count_request(request: Request) -> CountTokens:
    """The job whose answer :func:`check_tokens` takes: all texts of ``request`` as one prompt."""
    prompt: Prompt = request.prompt  # type: ignore[union-attr]  # as each of the operations has
    recipe = getattr(request, "recipe", None)
    texts = (prompt.query, *_queries(request), recipe.other_context if recipe is not None else "")
    return CountTokens(prompt=msgspec.structs.replace(prompt, query="\n".join(filter(None, texts)) or "\n"))


def check_tokens(tokens: TokenizedPrompt, limits: Limits) -> None:
    """Refuse a request whose texts, as :func:`count_request` has them, are too long; what is kept before them is free.

    Raises:
        RequestTooLarge: naming their number, the limit, and what to shorten.
    """
    n = len(tokens.context) + len(tokens.query)
    _refuse(n, limits.prompt_tokens, "tokens", "shorten the context or the queries")


def _queries(request: Request) -> tuple[str, ...]:
    """The queries of a request besides its prompt's."""
    recipe = getattr(request, "recipe", None)
    own = (getattr(owner, name, ()) for owner, name in ((recipe, "queries"), (request, "queries")))
    return tuple(query for queries in (*own, getattr(request, "holdout", ())) for query in queries)


def _refuse(value: int, limit: int, what: str, way_out: str) -> None:
    if value > limit:
        raise RequestTooLarge(f"{value:,} {what}, where this server takes {limit:,}: {way_out}")
