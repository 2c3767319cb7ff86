"""Numbers of bytes and of parameters as people read them, and a bar of characters.

Sizes are decimal on every screen and in every message: 1 GB is 10^9 bytes, as a disk and a model hub count them.
"""

_UNITS = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))


def short(count: int) -> str:
    """``count`` in at most three digits and a decimal prefix.

    >>> short(548_105_171), short(1_420_000), short(999), short(999_999)
    ('548 M', '1.42 M', '999', '1 M')
    """
    for prefix, size in _UNITS:
        if (digits := float(f"{count / size:.3g}")) >= 1:
            return f"{digits:.4g} {prefix}"
    return str(count)


def in_bytes(count: int) -> str:
    """``count`` bytes in at most three digits and a decimal unit.

    >>> in_bytes(548_105_171), in_bytes(12)
    ('548 MB', '12 B')
    """
    text = short(count)
    return text + "B" if text[-1].isalpha() else text + " B"


def bar(done: int, total: int, width: int) -> str:
    """How much of ``total`` is done, ``width`` characters wide.

    >>> bar(3, 10, 10)
    '███░░░░░░░'
    """
    filled = min(width, width * done // total) if total > 0 else 0
    return "█" * filled + "░" * (width - filled)
