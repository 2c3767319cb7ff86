"""Lines of dots, eight to a cell of the terminal (braille); each cell knows the line that was drawn on it last.

A column of dots is one integer, whose bit i is the dot of row i from the top: a line is a mask for each column, so that
a frame of many lines costs milliseconds. Dots of several lines in one cell are all there; only the colour is the last
one's.
"""

from collections.abc import Iterable, Sequence

Point = tuple[int, int]
"""A column of dots from the left, and a row of dots from the top."""
NOBODY = -1
_LEFT, _RIGHT = (0, 1, 2, 6), (3, 4, 5, 7)


def _pattern(left: int, right: int) -> str:
    bits = sum(1 << bit for at, bit in enumerate(_LEFT) if left >> at & 1)
    return chr(0x2800 + bits + sum(1 << bit for at, bit in enumerate(_RIGHT) if right >> at & 1))


_PATTERNS = [_pattern(both >> 4, both & 15) if both else " " for both in range(256)]


class BrailleCanvas:
    """``width`` × ``height`` cells, 2 × 4 dots each."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._columns = [0] * (2 * width)
        self._owners = [[NOBODY] * width for _ in range(height)]
        self._characters: dict[tuple[int, int], str] = {}

    def draw(self, points: Sequence[Point], owner: int) -> None:
        """A line through ``points``, ordered by column."""
        self._add(self._masks(points), owner)

    def dot(self, points: Iterable[Point], owner: int) -> None:
        """Dots that no line joins."""
        masks = [0] * len(self._columns)
        for x, y in points:
            masks[x] |= 1 << y
        self._add(masks, owner)

    def put(self, row: int, column: int, character: str, owner: int) -> None:
        """A character on a cell, over its dots."""
        self._characters[row, column] = character
        self._owners[row][column] = owner

    def _masks(self, points: Sequence[Point]) -> list[int]:
        masks = [0] * len(self._columns)
        x, y = points[0] if points else (0, 0)
        for to_x, to_y in points:
            steps, at = to_x - x, y
            for step in range(steps):  # each column goes half of the way to the next
                half = y + ((to_y - y) * (2 * step + 1) + steps) // (2 * steps)
                masks[x + step] |= _span(at, half)
                at = half
            masks[to_x] |= _span(at, to_y)
            x, y = to_x, to_y
        return masks

    def _add(self, masks: Sequence[int], owner: int) -> None:
        columns, owners = self._columns, self._owners
        for at, mask in enumerate(masks):
            if not mask:
                continue
            columns[at] |= mask
            column = at >> 1
            first, last = ((mask & -mask).bit_length() - 1) >> 2, (mask.bit_length() - 1) >> 2
            for row in range(first, last + 1):
                if mask >> (row << 2) & 15:
                    owners[row][column] = owner

    def row(self, row: int) -> tuple[str, list[int]]:
        """The characters of a line of cells, and whose they are."""
        shift, columns = row << 2, self._columns
        text = "".join(
            _PATTERNS[(columns[at] >> shift & 15) << 4 | columns[at + 1] >> shift & 15]
            for at in range(0, len(columns), 2)
        )
        put = {column: each for (of, column), each in self._characters.items() if of == row}
        if put:
            text = "".join(put.get(at, character) for at, character in enumerate(text))
        return text, self._owners[row]


def _span(one: int, other: int) -> int:
    return (2 << other) - (1 << one) if one <= other else (2 << one) - (1 << other)
