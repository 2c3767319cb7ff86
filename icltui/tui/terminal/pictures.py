"""A PNG as what a terminal is sent: by the kitty graphics protocol, or as sixels.

The picture is made as large as its room, of at most 64 colours, and smaller until its bytes are few enough for a slow
line. Sources: sw.kovidgoyal.net/kitty/graphics-protocol; the VT330/VT340 Programmer Reference, chapter 14 (sixel).
"""

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icltui.tui.terminal.graphics import Graphics

if TYPE_CHECKING:
    from PIL.Image import Image

N_COLOURS = 64
LIMIT = 400_000
"""Most characters of a picture."""
PICTURE_ID = 4712
FORGET = f"\x1b_Ga=d,d=I,i={PICTURE_ID},q=2\x1b\\"
"""Take the picture away (kitty); others draw text over it."""
_CHUNK = 4096
_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)
_SHRINK = 0.75


@dataclass(frozen=True)
class Picture:
    """A picture ready to be sent."""

    sequence: str
    columns: int
    rows: int
    """The cells that it takes."""


def picture_of(png: bytes, graphics: Graphics, room: tuple[int, int]) -> Picture:
    """The picture for a room of so many columns and rows; it takes a tenth of a second or two.

    Raises:
        ValueError: ``graphics`` has no protocol, or the picture is too large however small.
    """
    from PIL import Image

    (cell_width, cell_height), scale = graphics.cell, 1.0
    with Image.open(io.BytesIO(png)) as file:
        whole = file.convert("RGB")
        for _ in range(16):
            width, height = room[0] * cell_width * scale, room[1] * cell_height * scale
            shrunk = whole.copy()
            shrunk.thumbnail((max(1, int(width)), max(1, int(height))), Image.Resampling.LANCZOS)
            image = shrunk.quantize(N_COLOURS, dither=Image.Dither.NONE)
            columns, rows = -(-image.width // cell_width), -(-image.height // cell_height)
            sequence = _sequence(image, graphics, columns, rows)
            if len(sequence) <= LIMIT:
                return Picture(sequence, columns, rows)
            scale *= _SHRINK
    raise ValueError("the figure is too large for a terminal")


def _sequence(image: "Image", graphics: Graphics, columns: int, rows: int) -> str:
    if graphics.pictures == "kitty":
        page = io.BytesIO()
        image.save(page, "png", optimize=True)
        return kitty(page.getvalue(), columns, rows)
    if graphics.pictures == "sixel":
        palette = image.getpalette() or []
        colours = [tuple(palette[at : at + 3]) for at in range(0, len(palette), 3)]
        return sixel(image.tobytes(), image.width, colours)
    raise ValueError("this terminal shows no pictures")


def kitty(png: bytes, columns: int, rows: int) -> str:
    """The PNG in chunks of base64, shown at the cursor on so many cells; the terminal says nothing to it."""
    data = base64.b64encode(png).decode("ascii")
    chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    first = f"a=T,f=100,t=d,i={PICTURE_ID},q=2,C=1,c={columns},r={rows},"
    return "".join(
        f"\x1b_G{first if at == 0 else ''}m={int(at < len(chunks) - 1)};{chunk}\x1b\\"
        for at, chunk in enumerate(chunks)
    )


def sixel(indices: bytes, width: int, colours: list[tuple[int, ...]]) -> str:
    """Rows of palette indices as sixels, six rows of pixels to a band, a colour at a time."""
    lines = [indices[at : at + width] for at in range(0, len(indices), width)]
    used = sorted(set(indices))
    palette = "".join(f"#{index};2;{';'.join(_percent(part) for part in colours[index])}" for index in used)
    bands = "-".join(
        "$".join(_passes(band)) for band in (lines[at : at + 6] for at in range(0, len(lines), 6))
    )
    return f'\x1bP0;1q"1;1;{width};{len(lines)}{palette}{bands}\x1b\\'


def _percent(part: int) -> str:
    return str(round(part * 100 / 255))


def _passes(band: list[bytes]) -> list[str]:
    """One pass for each colour of a band of six rows: a character for each column, its bits the rows from the top."""
    width, passes = len(band[0]), []
    for index in sorted(set().union(*band)):
        bits = 0
        for row, line in enumerate(band):
            table = bytearray(256)
            table[index] = 1 << row
            bits |= int.from_bytes(line.translate(bytes(table)), "big")
        text = bits.to_bytes(width, "big").translate(_TO_SIXEL).decode("ascii").rstrip("?")
        passes.append(f"#{index}" + _RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", text))
    return passes


_TO_SIXEL = bytes(min(63 + bits, 126) for bits in range(256))
