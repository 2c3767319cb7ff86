def cells_of(text: str, start: str) -> list[list[str]]:
    """The words of each line of the table whose heading begins with ``start``."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(start)) + 2
    return [line.split() for line in lines[first : lines.index("", first)]]
