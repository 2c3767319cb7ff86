"""Text out of a file, exactly as it is there: the one way in which prompts, queries, sessions and settings are read.

A file's bytes enter, a text leaves. They must be UTF-8; a byte order mark at the start says so and is no part of the
text; no line end is changed. A line ends at ``\\n`` or ``\\r\\n`` and nowhere else.
"""

from pathlib import Path

from icltui.values.errors import BadInput, reason_of
from icltui.values.prompt import MOST_BYTES


class TooLarge(ValueError):
    """More bytes than are read."""


def read_text(path: Path, way_out: str) -> str:
    """The text of the file, of at most :data:`~icltui.values.prompt.MOST_BYTES` bytes; ``way_out`` ends every message.

    Raises:
        BadInput: a file that cannot be read, is too large, or is no UTF-8.
    """
    try:
        return decode_utf8(read_bytes(path, MOST_BYTES))
    except UnicodeDecodeError as error:
        reason, way_out = utf8_problem(error), "save it as UTF-8"
    except TooLarge as error:
        reason, way_out = str(error), "shorten it"
    except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
        reason = reason_of(error)
    raise BadInput(f"cannot read {str(path)!r}: {reason}: {way_out}")


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file or a pipe, of which no more than ``most`` are ever held.

    Raises:
        OSError: it cannot be read.
        TooLarge: it has more bytes.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise TooLarge(f"it has more than {most:,} bytes")
    return data


def decode_utf8(data: bytes) -> str:
    """The text that the bytes of a file are.

    Raises:
        UnicodeDecodeError: they are no UTF-8; its ``start`` is the offset in ``data``.
    """
    return data.decode("utf-8").removeprefix("\ufeff")  # utf-8-sig would count offsets from after the mark


def utf8_problem(error: UnicodeDecodeError) -> str:
    """The byte that is no UTF-8, with its offset."""
    return f"the byte at offset {error.start} (0x{error.object[error.start]:02x}) is not UTF-8"


def lines(text: str) -> list[str]:
    """The lines without their ends; what comes after the last end is a line, unless it is empty."""
    *ended, rest = text.split("\n")
    return [*(line.removesuffix("\r") for line in ended), *([rest] if rest else [])]


def without_final_newline(text: str) -> str:
    """The text without the one line end after it, which an editor puts there."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
