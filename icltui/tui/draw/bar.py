"""Horizontal bars in eighths of a cell, and probabilities in one width.

Numbers enter, text of a known width leaves.
"""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
P_WIDTH = 5
"""Cells of a probability."""


def bar(fraction: float, width: int) -> str:
    """``fraction`` of ``width`` cells filled, to the nearest eighth of a cell, on exactly ``width`` cells.

    >>> bar(0.5, 3), bar(1.0, 2), bar(0.02, 4)
    ('█▌ ', '██', '▏   ')
    """
    if width <= 0:
        return ""
    whole, rest = divmod(round(min(max(fraction, 0.0), 1.0) * width * 8), 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def probability(p: float | None) -> str:
    """``p`` on :data:`P_WIDTH` cells: three decimals, or one digit and the power of ten where those are 0.

    >>> probability(0.9312), probability(3.4e-5), probability(1.0), probability(None)
    (' .931', '3e-05', ' 1.00', '    ·')
    """
    if p is None:
        text = "·"
    elif p >= 0.9995:
        text = "1.00"
    elif p >= 0.0005:
        text = f"{p:.3f}"[1:]
    else:
        text = f"{p:.0e}" if p >= 1e-99 else "0"
    return text.rjust(P_WIDTH)
