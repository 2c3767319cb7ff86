"""The proof in columns, within the width that there is."""

import msgspec
from rich.cells import cell_len

from icltui.tui.widgets.verify_view import proof_text
from icltui.values import LayerCheck
from tests.tui import samples
from tests.tui.conftest import open_desk

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


def test_narrow_lines_leave_out_what_says_no_more() -> None:
    lines = proof_text(msgspec.structs.replace(samples.VERIFICATION, note=""), 60 - 6).plain.splitlines()
    assert all(cell_len(line) <= 60 - 6 for line in lines if not line.startswith("tolerance"))
    head = next(line for line in lines if line.startswith("layer"))
    assert head.split() == [title for title in TITLES if title not in ("cosine", "NMSE")]
    assert lines[lines.index(head) + 1].split() == ["0", "1.8e-07", "1.2e-07", "2.3e-07", "1", "0.310"]
    assert any(line.startswith("control: shuffled c") for line in lines)


def test_an_older_proof_names_the_unit_of_each() -> None:
    layers = tuple(msgspec.structs.replace(check, limits={}) for check in samples.VERIFICATION.layers)
    old = msgspec.structs.replace(samples.VERIFICATION, layers=layers, logit_scale=None)
    lines = proof_text(old).plain.splitlines()
    assert lines[1] == "tolerance 1.0e-04 · noise floor 2.4e-06 · undone exactly: yes"
    assert not any(line.startswith("share of") for line in lines)


async def test_the_columns_follow_the_terminal() -> None:
    session = msgspec.structs.replace(samples.session(), verification=samples.VERIFICATION)
    for size, is_there in (((60, 18), False), ((80, 24), True), ((120, 40), True)):
        async with open_desk(session, size=size) as desk:
            await desk.press("7")
            await desk.drawn()
            lines = desk.text().splitlines()
            assert any("last-token logits" in line and "top-1" in line for line in lines), "on one line"
            desk.screen.numbers.proof.scroll_end(animate=False)
            await desk.drawn()
            assert ("NMSE" in desk.text()) is is_there


def test_where_the_context_changes_nothing_nothing_is_proved() -> None:
    zeros = tuple(msgspec.structs.replace(check, rank=0) for check in samples.VERIFICATION.layers)
    for layers, is_proof in ((samples.VERIFICATION.layers, True), (zeros, False), ((), True)):
        text = proof_text(msgspec.structs.replace(samples.VERIFICATION, layers=layers)).plain
        assert text.startswith("✓") is is_proof
        assert ("nothing was proved" in text.splitlines()[0]) is not is_proof


def test_small_alignments_keep_their_digits() -> None:
    check = LayerCheck(
        layer=0, identity_error=0.0, block_error=0.0, cosine=1.0, nmse=0.0, gradient_alignment=-0.0072
    )
    assert lines_of(check)[1].endswith(" -7.2e-03")


def test_what_it_was_held_to_is_in_one_unit_and_a_doubt_is_no_tick() -> None:
    held = msgspec.structs.replace(
        samples.VERIFICATION, patched_share=4e-7, noise_share=0.0175, allowed=0.035
    )
    first, *lines = proof_text(held).plain.splitlines()
    assert first.startswith("✓")
    assert lines[0] == "undone exactly: yes · noise floor 2.4e-06 logits"
    at = next(at for at, line in enumerate(lines) if line.startswith("share of contextual"))
    assert lines[at].split()[-5:] == ["error", "noise", "allowed", "no", "patch"]
    assert [line.split()[-4:] for line in lines[at + 1 : at + 5]] == [
        ["1.8e-07", "3.1e-07", "1.4e-06", "0.610"],
        ["1.2e-07", "2.9e-07", "1.4e-06", "0.470"],
        ["2.3e-07", "2.4e-07", "1.3e-06", "0.830"],
        ["4.0e-07", "0.018", "0.035", "1.74"],
    ]
    assert lines[at + 1].startswith("MLP under ΔW alone, layer 0 ")
    assert any(line.startswith("MLP L0 ") for line in proof_text(held, 50).plain.splitlines())
    for ok, mark in (
        (True, "○ the patched model is the contextual one, to within"),
        (False, "✗ the proof fails"),
    ):
        first, second = proof_text(msgspec.structs.replace(held, ok=ok, caveat="why")).plain.splitlines()[:2]
        assert first.startswith(mark)
        assert second == "why"
