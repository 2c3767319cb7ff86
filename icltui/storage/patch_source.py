"""What an adapter was made from, as a file in its folder.

A :class:`~icltui.values.patch_source.PatchSource` enters :func:`encode_source` and leaves :func:`read_source`.
"""

from pathlib import Path

import msgspec

from icltui.api.option_table import check_options
from icltui.storage.paths import shown
from icltui.storage.text_file import TooLarge, read_bytes
from icltui.values.errors import BadInput, reason_of
from icltui.values.patch_source import PATCH_FILE, PatchSource
from icltui.values.prompt import check_size

SIZE_LIMIT = 64 * 2**20
"""Largest file in bytes that is read."""


def encode_source(source: PatchSource) -> bytes:
    """The content of the file."""
    return msgspec.json.format(msgspec.json.encode(source), indent=2) + b"\n"


def read_source(folder: Path) -> PatchSource:
    """What the adapter in ``folder`` was made from.

    Raises:
        BadInput: there is no such file, or it is none that this program wrote.
    """
    path = folder / PATCH_FILE
    try:
        return decode_source(read_bytes(path, SIZE_LIMIT), shown(path))
    except (OSError, TooLarge) as error:
        raise BadInput(
            f"cannot read {shown(path)}: {reason_of(error)}: name the folder of an adapter that icltui compile made"
        ) from error


def decode_source(data: bytes, where: str) -> PatchSource:
    """The content of a file; ``where`` names it in a complaint.

    Raises:
        BadInput: it is none that this program wrote.
    """
    try:
        source = msgspec.json.decode(data, type=PatchSource)
        check_options(source.recipe)
        check_size(source.prompt.context, "its context")
        check_size("".join(source.recipe.queries), "the text of all its queries")
    except (msgspec.DecodeError, UnicodeError, BadInput) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{where} is damaged: {reason}: compile the adapter anew") from error
    return source
