"""Numbers of bytes and of parameters as people read them, and a bar of characters."""

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


def in_gib(count: int, digits: int = 2) -> str:
    """Bytes as memory is sold: in GiB with ``digits`` decimals, or in MiB where that would be next to nothing.

    >>> in_gib(3 * 2**30), in_gib(3 * 2**30, 1), in_gib(5 * 2**20)
    ('3.00 GiB', '3.0 GiB', '5.0 MiB')
    """
    if count < 2**30 / 20:
        return f"{count / 2**20:.1f} MiB"
    return f"{count / 2**30:.{digits}f} GiB"


def bar(done: int, total: int, width: int) -> str:
    """How much of ``total`` is done, ``width`` characters wide.

    >>> bar(3, 10, 10)
    '███░░░░░░░'
    """
    filled = min(width, width * done // total) if total > 0 else 0
    return "█" * filled + "░" * (width - filled)
