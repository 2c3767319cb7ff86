"""How much a door takes in one request, and how long that may take."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a server; the command line and Python, whose machine it is, have only those of the values."""

    body_bytes: int = 2**20
    """Bytes of one request."""
    prompt_tokens: int = 4096
    """Tokens of context and query together."""
    new_tokens: int = 512
    """Tokens to generate in each lane."""
    layers: int = 4096
    """Layers in one request."""
    queue: int = 8
    """Jobs that wait or run."""
    seconds: float = 300.0
    """Seconds until a job's answer, its wait included."""
