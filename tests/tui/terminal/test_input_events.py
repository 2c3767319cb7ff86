"""What a terminal sends becomes keys, whole and in order, however it is cut; what it answers becomes none."""

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.message import Message

from icltui.tui.terminal import input_lexer
from icltui.tui.terminal.input_events import InputEvents
from icltui.tui.terminal.messages import PasteTruncated, UndecodableInput
from tests.tui.terminal.replies import REPLIES, REPORTS, STRINGS

DELAY = 0.1
"""Of the Escape key in these tests."""
KEYS = {
    sequence: [event.key for event in XTermParser().feed(sequence) if isinstance(event, events.Key)]
    for sequence in ANSI_SEQUENCES_KEYS
    if sequence not in {"\x1b", "\x1b\x1b", "\x9b"}
} | {f"\x1b{digit}": [f"alt+{digit}"] for digit in range(10)}
"""Every key that Textual knows by one sequence, and what it names it; the Escape key has tests of its own."""
KITTY_KEYS = {
    "\x1b[27u": ["escape"],
    "\x1b[13u": ["enter"],
    "\x1b[97;;97u": ["a"],
    "\x1b[97;5u": ["ctrl+a"],
    "\x1b[97;3u": ["alt+a"],
    "\x1b[1;5A": ["ctrl+up"],
    "\x1b[57376u": ["f13"],
    "\x1b[233;;233u": ["é"],
}
PASTES = ("q", "two\rlines", "\x1b[A is no key here", "]11;rgb:0/0/0", "é世🙂", "x" * 5000)


def told(reads: Iterable[bytes], gap: float = 0.0) -> list[Message]:
    """What becomes of these reads, so many seconds apart, and of a long silence behind them."""
    source, now, found = InputEvents(DELAY), 100.0, []
    for data in reads:
        found += source.feed(data, now)
        now += gap
        found += source.expire(now)
    while source.deadline is not None:
        now = source.deadline
        found += source.expire(now)
    return found


def keys(reads: Iterable[bytes], gap: float = 0.0) -> list[str]:
    """The names of the keys, and the texts of pastes."""
    return [
        message.key if isinstance(message, events.Key) else message.text
        for message in told(reads, gap)
        if isinstance(message, events.Key | events.Paste)
    ]


def forms(name: str) -> Iterable[bytes]:
    """The reply of this name in seven bits, in eight, and ended by BEL."""
    return (reply for form, reply in REPLIES.items() if form == name or form.startswith(f"{name}, "))


def in_two(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Cut at every byte; of a long one at those that matter."""
    places = (
        range(1, len(data)) if len(data) < 200 else [*range(1, 12), 4096, *range(len(data) - 4, len(data))]
    )
    return ((data[:at], data[at:]) for at in places)


@pytest.mark.parametrize("name", REPORTS | STRINGS)
def test_no_key_is_made_of_a_reply(name: str) -> None:
    for reply in forms(name):
        check_no_key(reply)


def check_no_key(reply: bytes) -> None:
    """Whole, in two reads and byte by byte, with real keys on either side."""
    assert keys([reply]) == []
    assert keys([b"a" + reply + b"b"]) == ["a", "b"]
    assert keys([b"\x1b[A" + reply + b"\x1b[B\x1b[200~p\x1b[201~q"]) == ["up", "down", "p", "q"]
    assert keys([reply + reply + b"c"]) == ["c"]
    for first, second in in_two(reply):
        for gap in (0.0, DELAY / 2):
            assert keys([b"a" + first, second + b"b"], gap) == ["a", "b"], (first, second, gap)
    if len(reply) < 200:
        assert keys([b"a", *(bytes((byte,)) for byte in reply), b"b"], input_lexer.BURST / 2) == ["a", "b"]


@pytest.mark.parametrize("other", ["OSC 11", "DA1 of a VT100"])
def test_two_replies_one_behind_the_other(other: str) -> None:
    for reply in (REPLIES[name] for name in REPORTS | STRINGS):
        for first, second in in_two(REPLIES[other] + reply):
            assert keys([first, second + b"x"]) == ["x"]


def test_no_key_is_lost() -> None:
    for sequence, names in (KEYS | KITTY_KEYS).items():
        data = sequence.encode()
        assert keys([data]) == names
        assert keys([data, data]) == names * 2
        for first, second in in_two(data):
            assert keys([first, second + b"z"]) == [*names, "z"], (first, second)
            if len(sequence) > 2:  # else a person's two keys
                assert keys([first, second + b"z"], DELAY / 2) == [*names, "z"], (first, second)


@given(st.data())
def test_a_stream_may_be_cut_anywhere(data: st.DataObject) -> None:
    things: Sequence[tuple[bytes, list[str]]] = [
        *((sequence.encode(), names) for sequence, names in (KEYS | KITTY_KEYS).items()),
        *((reply, []) for reply in REPLIES.values()),
        *((f"\x1b[200~{text}\x1b[201~".encode(), [text]) for text in PASTES),
        *((text.encode(), [text]) for text in ("é", "世", "q", "j")),
        ("🙂".encode(), ["slightly_smiling_face"]),  # Textual names what is neither letter nor digit
        (b"\x1bz", ["alt+z"]),
        (b"\x1bZ", ["alt+shift+z"]),
    ]
    chosen = data.draw(st.lists(st.sampled_from(things), max_size=8))
    stream = b"".join(sent for sent, _ in chosen)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    reads = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert keys(reads) == [name for _, names in chosen for name in names]


@given(
    st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(sorted(REPLIES.values())))), st.floats(0, 20)
)
def test_nothing_that_is_sent_ends_it(reads: list[bytes], gap: float) -> None:
    for message in told(reads, gap):
        if isinstance(message, events.Key | events.Paste):
            text = message.character if isinstance(message, events.Key) else message.text
            (text or "").encode()  # nothing that no file could hold


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[99999999u",  # no character has this number
        "\x1b[0;;99999999u",
        "\x1b[55357u",  # half of one
        "\x1b[0;;55357:56832u",
        "\x1b[97:65;1:3u",
        "\x1b[97;1:3u",
        "\x1b[1;99999999999999999999A",
        "\x1b[<0;0;0M",
        "\x1b[<99999999999;1;1M",
        "\x1b[" + "1;" * 5000 + "A",
        "\x1b[" + "9" * 5000 + "u",
        "\x1b[99u\x1b[98"[:7] + "\x18",
    ],
)
def test_a_number_beyond_all_bounds_is_no_key_and_no_end(sequence: str) -> None:
    found = [event for event in told([sequence.encode() + b"\x1b[Bx"]) if isinstance(event, events.Key)]
    assert [event.key for event in found[-2:]] == ["down", "x"]
    for event in found:
        (event.character or "").encode()  # nothing that no file could hold


class TestEscape:
    """The key that begins all others' sequences."""

    def test_alone_it_comes_when_nothing_follows(self) -> None:
        source = InputEvents(DELAY)
        assert list(source.feed(b"\x1b", 1.0)) == []
        assert source.deadline == 1.0 + DELAY
        assert list(source.expire(1.0 + DELAY / 2)) == []
        assert [event.key for event in source.expire(1.0 + DELAY)] == ["escape"]
        assert source.deadline is None

    def test_a_key_behind_it_is_another_one_unless_both_came_at_once(self) -> None:
        assert keys([b"\x1b", b"j"], gap=0.05) == ["escape", "j"]
        assert keys([b"\x1b", b"["], gap=0.05) == ["escape", "left_square_bracket"]
        assert keys([b"\x1bj"]) == ["alt+j"]
        assert keys([b"\x1b", b"j"], gap=0.01) == ["alt+j"]
        assert keys([b"\x1b\x1b"]) == ["escape", "escape"]
        assert keys([b"\x1b\x1b[A"]) == ["escape", "up"]

    @pytest.mark.parametrize("tail", [b"[A", b"[1;5C", b"OP", b"[97;5u", b"[<35;10;10M"])
    def test_the_rest_of_a_sequence_that_comes_late_is_not_typed(self, tail: bytes) -> None:
        names = keys([b"\x1b" + tail])
        assert keys([b"\x1b", tail], gap=DELAY / 2) == names
        assert keys([b"\x1b", tail], gap=3 * DELAY) == ["escape", *names]

    @pytest.mark.parametrize("name", ["OSC 11", "DA1", "XTVERSION", "kitty: keyboard", "graphics of kitty"])
    def test_the_rest_of_a_reply_that_comes_late_is_not_typed(self, name: str) -> None:
        assert keys([b"\x1b", REPLIES[name][1:]], gap=3 * DELAY) == ["escape"]

    def test_what_is_typed_much_later_is_typed(self) -> None:
        assert keys([b"\x1b", b"[A"], gap=2 * input_lexer.SILENCE) == ["escape", "left_square_bracket", "A"]
        assert keys([b"\x1b", b"OSLO"], gap=3 * DELAY) == ["escape", *"OSLO"]

    @pytest.mark.parametrize("key", "[]OP_/")
    def test_alt_and_a_key_that_might_begin_more(self, key: str) -> None:
        (name,) = keys([key.encode()])
        expected = {"O": "alt+shift+o", "P": "alt+shift+p"}.get(key, name)
        assert keys([b"\x1b" + key.encode()]) == [expected]


class TestHolding:
    """What is not whole is held, but not for ever and not without end."""

    @pytest.mark.parametrize("name", [name for name, reply in REPLIES.items() if len(reply) > 4])
    def test_half_a_reply_takes_no_later_key(self, name: str) -> None:
        half = REPLIES[name][: max(4, len(REPLIES[name]) // 2)]
        assert keys([half, b"x"], gap=2 * input_lexer.SILENCE) == ["x"]
        assert keys([half, b"\x1b[A"], gap=0.2) == ["up"], "another sequence ends it"
        assert keys([half, b"\r"], gap=0.2) == ["enter"], "so does a control"

    def test_an_answer_without_end_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(input_lexer, "REPLY_LIMIT", 10_000)
        reads = [b"\x1b]52;c;", *[b"QUJD" * 1000] * 3, b"x"]
        assert keys(reads) == ["x"]

    def test_a_paste_that_stops_is_given_out(self) -> None:
        assert keys([b"\x1b[200~half a par", b"x"], gap=2 * input_lexer.PASTE_SILENCE) == ["half a par", "x"]
        assert keys([b"\x1b[200~one ", b"two\x1b[201~"], gap=input_lexer.PASTE_SILENCE / 2) == ["one two"]

    def test_a_paste_is_cut_at_the_limit_and_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(input_lexer, "PASTE_LIMIT", 1000)
        found = told([b"\x1b[200~", *[b"abcd" * 100] * 5, b"\x1b[201~q"])
        assert [message.text for message in found if isinstance(message, events.Paste)] == [("abcd" * 250)]
        assert [message.n for message in found if isinstance(message, PasteTruncated)] == [1000]
        assert [message.key for message in found if isinstance(message, events.Key)] == ["q"]


TEXTS = ("café au lait", "naïve Ärger", "你好，世界", "日本語テキスト", "\x80\x9d\x9b")
ENCODINGS = ("latin-1", "gbk", "shift_jis", "cp1252", "utf-16-le", "big5", "koi8-r")


def other_encodings() -> Iterable[bytes]:
    """Text as other terminals send it, and what a program may cut from good text."""
    for text in TEXTS:
        for encoding in ENCODINGS:
            data = text.encode(encoding, "ignore")
            yield data.replace(b"\x1b", b"")
    yield from (
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\xbd\xed\xb8\x80",
        "🙂".encode()[:2],
        "🙂".encode()[2:],
        b"a\xe2\x82 b",
    )
    yield from (bytes((byte,)) for byte in range(0x80, 0x100))


OTHER_BYTES = sorted({*other_encodings()} - {b""})


def test_bytes_that_are_no_utf8_in_a_paste() -> None:
    for data in OTHER_BYTES:
        found = told([b"\x1b[200~<" + data + b">\x1b[201~", b"x"])
        (paste,) = [message for message in found if isinstance(message, events.Paste)]
        unread = [byte for byte in data.decode("utf-8", "surrogateescape") if "\udc80" <= byte <= "\udcff"]
        expected = data.decode("utf-8", "surrogateescape")
        for byte in {*unread}:
            expected = expected.replace(byte, "\ufffd")
        assert paste.text == f"<{expected}>".replace("\0", "")
        assert [message.n for message in found if isinstance(message, UndecodableInput)] == [
            len(unread)
        ] * bool(unread)
        assert [message.key for message in found if isinstance(message, events.Key)] == ["x"]


def test_bytes_that_are_no_utf8_as_keys() -> None:
    for data in OTHER_BYTES:
        found = told([data, b"x", b"\r"], gap=2 * input_lexer.SILENCE)
        typed = [message.character for message in found if isinstance(message, events.Key)]
        assert typed[-2:] == ["x", "\r"], data
        assert {*typed[:-2]} <= {*data.decode("utf-8", "ignore")}, data


def test_a_character_cut_in_two_is_whole() -> None:
    for text in "é€🙂":
        for first, second in in_two(text.encode()):
            assert [message.character for message in told([first, second], gap=2.0)] == [text]


def test_the_mouse_goes_on_behind_what_nobody_knows() -> None:
    found = told([b"\x1b[<35;10;10M\x1b[?1;2c\x1b[<35;13;11M"])
    last = [message for message in found if isinstance(message, events.MouseMove)][-1]
    assert (last.x, last.y, last.delta_x, last.delta_y) == (12, 10, 3, 1)


def test_a_flood_is_read_in_time_that_grows_with_it() -> None:
    """Sixteen times as much takes about sixteen times as long, and not 256 times."""
    chance = random.Random(0)
    for opening in (b"\x1b[200~", b"\x1b]52;c;"):
        source = InputEvents(DELAY)
        assert list(source.feed(opening, 0.0)) == []
        held = [
            len(source._lexer._held)
            for _ in range(64)
            if not list(source.feed(chance.randbytes(4096).hex().encode(), 0.0))
        ]
        assert max(held) <= 6, "what is open is not looked through again"


PAGE = "Quit and verify the run?\rThe letters of a page are commands, each of them.\r" * 100


@pytest.mark.parametrize("size", [60, 512, 4096])
def test_a_paste_that_no_terminal_marks_is_a_paste_and_no_commands(size: int) -> None:
    data = PAGE.encode()
    reads = [data[start : start + size] for start in range(0, len(data), size)]
    told_of = told(reads, gap=0.01)
    assert "".join(message.text for message in told_of if isinstance(message, events.Paste)) == PAGE
    assert len(told_of) == len(reads)


@pytest.mark.parametrize(
    "typed", ["j" * 500, "4kkk v vv 6hhjj llkk", "/open months\r", "the river is", "\r" * 40, "j k " * 7]
)
def test_keys_that_waited_are_keys(typed: str) -> None:
    assert all(isinstance(message, events.Key) for message in told([typed.encode()]))


def test_a_key_after_a_paste_is_a_key() -> None:
    assert keys([PAGE.encode()[:200], b"q"], gap=0.2) == [PAGE[:200], "q"]
