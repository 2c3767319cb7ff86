"""The proof in columns, within the width that there is."""

import msgspec
from rich.cells import cell_len

from icltui.record import LayerCheck
from icltui.tui.widgets.verify_view import proof_text
from tests.tui import samples

ROOM = 80 - 6
"""Columns inside the frame, the padding and the scrollbar."""
TITLES = ["layer", "MLP", "ΔW", "identity", "block", "cosine", "NMSE", "rank", "align"]


def lines_of(*layers: LayerCheck) -> list[str]:
    """The lines from the layers' titles to the last layer."""
    proof = msgspec.structs.replace(samples.VERIFICATION, layers=layers, note="")
    lines = proof_text(proof).plain.splitlines()
    return lines[next(at for at, line in enumerate(lines) if line.startswith("layer")) :]


def test_every_check_has_its_column() -> None:
    head, line, *_ = lines_of(*samples.VERIFICATION.layers)
    assert head.split() == TITLES
    assert line.split() == ["0", "1.8e-07", "1.2e-07", "2.3e-07", "1.000", "4.0e-14", "1", "0.310"]


def test_values_stand_under_their_titles() -> None:
    check = LayerCheck(layer=7, identity_error=None, block_error=None, cosine=None, nmse=None)
    head, line = lines_of(check)
    assert line.split() == ["7", *"·······"]
    ends = [at for at, character in enumerate(line) if character == "·"]
    assert all(head[end] != " " and head[end + 1 : end + 2] in ("", " ") for end in ends)


def test_it_fits_80_columns() -> None:
    wild = LayerCheck(
        layer=126,
        mlp_error=-1.234e-100,
        identity_error=1.234e-100,
        block_error=123456.0,
        cosine=-0.98765,
        nmse=1.234e-300,
        rank=12288,
        gradient_alignment=-0.98765,
    )
    proof = msgspec.structs.replace(samples.VERIFICATION, layers=(wild,), note="")
    assert all(cell_len(line) <= ROOM for line in proof_text(proof).plain.splitlines())
