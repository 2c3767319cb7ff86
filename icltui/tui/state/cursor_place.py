"""Where the cursor belongs after a context was cut into other units: at the same text."""

from icltui.values import TokenizedPrompt


def same_place(unit: int, before: TokenizedPrompt | None, after: TokenizedPrompt | None) -> int | None:
    """The unit of ``after`` in which ``unit`` of ``before`` begins; None where the contexts differ."""
    if before is None or after is None or before.context != after.context:
        return None
    if before.units == after.units or not 0 < unit <= len(before.units):
        return unit
    first = sum(one.tokens for one in before.units[: unit - 1])
    end = 0
    for one in after.units:
        end += one.tokens
        if first < end:
            return one.index
    return None
