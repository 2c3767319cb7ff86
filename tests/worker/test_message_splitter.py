"""Messages put apart from what else is printed, however the bytes are cut."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.api import messages
from icltui.values.errors import EngineError
from icltui.worker import message_splitter
from icltui.worker.client import _decode
from icltui.worker.message_splitter import LineReader
from icltui.worker.protocol import MARK, Happened, encode

MESSAGES = st.integers(0, 99).map(
    lambda n: encode(Happened(n, messages.Progress(stage=' {"say":"x"', done=n, total=0)))
)
FOREIGN = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"debug: " + MARK, b'x {"say":"Happened"', b'{"say"', b"x" * 300, b"\r", b'"{"say":"']),
)
PIECES = st.lists(
    st.one_of(MESSAGES, FOREIGN.map(lambda line: line.replace(b"\n", b"") + b"\n")), max_size=12
)


async def read_all(chunks: list[bytes]) -> list[tuple[bytes, bool]]:
    stream = asyncio.StreamReader()
    reader, found = LineReader(stream), []
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    while (piece := await reader.read())[0]:
        found.append(piece)
    return found


@given(PIECES, st.integers(20, 100))
def test_every_message_and_every_other_byte_comes_through(pieces: list[bytes], chunk: int) -> None:
    pieces = [piece if piece.endswith(b"}\n") else b"x" + piece for piece in pieces]
    data = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_splitter, "CHUNK", chunk)
        found = asyncio.run(read_all([data]))
    assert b"".join(piece for piece, _ in found) == data
    sent = [piece for piece in pieces if piece.startswith(MARK)]
    assert [piece for piece, is_start in found if _decode(piece, is_start)] == sent


def test_a_message_behind_words_without_a_line_end_is_one() -> None:
    message = encode(Happened(1, messages.JobEnded()))
    assert asyncio.run(read_all([b"Loading \xe2\x80\xa6 ", message, b"last words"])) == [
        (b"Loading \xe2\x80\xa6 ", True),
        (message, False),
        (b"last words", True),
    ]


def test_a_message_that_its_writer_died_over_is_none() -> None:
    assert asyncio.run(read_all([encode(Happened(1, messages.JobEnded()))[:-1]])) == []


def test_a_message_without_end_is_an_error_and_a_quotation_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_splitter, "LINE_LIMIT", 100)
    with pytest.raises(EngineError, match="a line of more than 100 bytes"):
        asyncio.run(read_all([MARK, b"x" * 100]))
    found = asyncio.run(read_all([b"debug: ", MARK, b"x" * 100, b"\n"]))
    assert [_decode(*piece) for piece in found] == [None] * len(found)
