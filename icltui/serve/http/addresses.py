"""Where each operation is asked over HTTP."""

from icltui.api.operation import Operation

ANALYZE = "/v1/inference/analyze-icl"
"""Where a measurement is asked for."""


def address_of(operation: Operation) -> str:
    """The address of an operation."""
    return ANALYZE if operation.name == "measure" else f"/v1/{operation.name}"
