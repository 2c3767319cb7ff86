"""What is sent to the terminal's clipboard: the bytes, and what each pane puts in them."""

import base64
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.api.messages import VerificationEnded
from icltui.tui.draw.clipboard_text import lane_copy, measure_copy, stream_copy
from icltui.tui.terminal.osc52 import LIMIT, encoded_size, passed_on
from tests.tui import HOSTILE, board_of, samples
from tests.tui.conftest import Desk


def written_by(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes to the terminal from now on, besides frames."""
    sent: list[str] = []
    assert desk.app._driver is not None
    monkeypatch.setattr(desk.app._driver, "write", sent.append)
    return sent


def clipboard(sequence: str) -> str:
    """The text in an OSC 52."""
    assert sequence.startswith("\x1b]52;c;")
    assert sequence.endswith("\a")
    return base64.b64decode(sequence[7:-1], validate=True).decode()


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


async def test_a_pane_goes_out_as_one_osc_52_and_in_tmux_wrapped_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    sent = written_by(desk, monkeypatch)
    await desk.press("ctrl+g")
    assert len(sent) == 1
    lines = cells(clipboard(sent[0]))
    assert lines[0][:4] == ["unit", "text", "layer", "delta_norm"]
    assert lines[0][-4:] == ["token", "probability", "entropy", "kl_to_full"]
    assert lines[1][:4] == ["0", "∅", "5", ""]
    assert lines[2][:4] == ["1", "The", "5", str(samples.row(1, 5).delta_norm)]
    assert len(lines) == samples.N_UNITS + 2
    assert desk.toasts()[-1] == "21 lines of stream sent to the terminal's clipboard"

    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    sent.clear()
    await desk.press("ctrl+g")
    bare, wrapped = sent
    assert wrapped.startswith("\x1bPtmux;\x1b\x1b]52;c;")
    assert wrapped.endswith("\a\x1b\\")
    assert wrapped[7:-2].replace("\x1b\x1b", "\x1b") == bare


def test_gnu_screen_gets_short_pieces() -> None:
    text = "é" * 1000
    wrapped = passed_on(text, {"STY": "1.pts-0"})
    pieces = wrapped.split("\x1b\\")
    assert pieces.pop() == ""
    assert all(piece.startswith("\x1bP") and len(piece) <= 256 for piece in pieces)
    assert clipboard("".join(piece[2:] for piece in pieces)) == text
    assert passed_on(text, {}) == ""


@given(st.text(st.characters()))
def test_any_text_is_counted_and_sent(text: str) -> None:
    wrapped = passed_on(text, {"TMUX": "x"})
    bare = wrapped[7:-2].replace("\x1b\x1b", "\x1b")
    assert encoded_size(text) == len(bare) - 8
    assert clipboard(bare) == text.encode("utf-8", "replace").decode()


PANES = {
    "context": samples.CONTEXT,
    "query": samples.QUERY,
    "layers": "layer\tticked\tdelta_norm_unit_19\tblock_error\trefused\n0\tyes\t",
    "plots": "unit\ttext\tdelta_norm_layer_0\t",
    "heatmap": "unit\ttext\tdelta_norm_layer_0\tdelta_norm_layer_1",
    "verify": "✓ the patched model is the contextual one",
    "log": "00:00:00 engine 0 started\n",
    "lanes": "With context · 11 tok\n\n Rome. The capital of Egypt is Oslo.",
}


async def test_every_pane(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.press("v")
    desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    await desk.drawn()
    sent = written_by(desk, monkeypatch)
    for pane, words in PANES.items():
        desk.screen.view.action_show_pane(pane)
        sent.clear()
        await desk.press("ctrl+g")
        assert clipboard(sent[0]).startswith(words)
    desk.screen.view.action_show_pane("query")
    await desk.press(*["shift+right"] * 3)
    sent.clear()
    await desk.press("ctrl+g")
    assert clipboard(sent[0]) == samples.QUERY[:3], "what is selected"


async def test_what_cannot_be_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = written_by(desk, monkeypatch)
    desk.app.copy_to_clipboard("a\ud800b")
    assert clipboard(sent.pop()) == "a?b"
    desk.screen.question.load_text("x" * LIMIT)
    await desk.press("2", "ctrl+g")
    assert sent == []
    assert desk.toasts()[-1] == (
        "more than a terminal's clipboard holds: 99,992 bytes encoded, of at most 74,994: e exports it to a file"
    )
    await desk.press("escape", "7", "ctrl+g")
    assert sent == []
    assert desk.toasts()[-1].startswith("nothing to copy here")


def test_no_token_breaks_a_line_or_a_column() -> None:
    measured = board_of(HOSTILE)
    for text in (stream_copy(measured, 2), measure_copy(measured, "patch_norm", (0, 3))):
        lines = cells(text)
        assert len(lines) == len(HOSTILE) + 2
        assert len({len(line) for line in lines}) == 1
        assert "\x1b" not in text


def test_a_lane_without_text() -> None:
    assert lane_copy("Query + ΔW", ()) == "Query + ΔW\n"
