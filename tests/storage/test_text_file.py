"""Text from files: every reader takes the same bytes for the same text, and nothing in it is changed."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from icltui.cli.main import main
from icltui.cli.options import read_text
from icltui.storage.config import read_config
from icltui.storage.query_file import MOST_QUERIES, read_queries
from icltui.storage.sessions import read_session, write_session
from icltui.storage.text_file import lines
from icltui.values import Session
from icltui.values.errors import BadInput, SessionError
from icltui.values.prompt import MOST_BYTES, Prompt

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "context", "query", "queries"),
    [
        (b"a\nb\n", "a\nb\n", "a\nb", ("a", "b")),
        (b"a\r\nb\r\n", "a\r\nb\r\n", "a\r\nb", ("a", "b")),
        (b"a\rb", "a\rb", "a\rb", ("a\rb",)),  # the line end of no system in use
        (b"a\r\r\nb\n\r", "a\r\r\nb\n\r", "a\r\r\nb\n\r", ("a\r", "b")),
        (
            b" a \n\n \t\n\tb\x0cc\x0bd",
            " a \n\n \t\n\tb\x0cc\x0bd",
            " a \n\n \t\n\tb\x0cc\x0bd",
            (" a ", "\tb\x0cc\x0bd"),
        ),
        (
            "a\u2028b\u0085c\x1cd".encode(),
            "a\u2028b\u0085c\x1cd",
            "a\u2028b\u0085c\x1cd",
            ("a\u2028b\u0085c\x1cd",),
        ),
        (BOM + b"a\n", "a\n", "a", ("a",)),
        (BOM + BOM + "b\ufeff".encode(), "\ufeffb\ufeff", "\ufeffb\ufeff", ("\ufeffb\ufeff",)),
        (b"a\x00b", "a\x00b", "a\x00b", ("a\x00b",)),
        (
            "日👩\u200d👩e\u0301\n\n".encode(),
            "日👩\u200d👩e\u0301\n\n",
            "日👩\u200d👩e\u0301\n",
            ("日👩\u200d👩e\u0301",),
        ),
    ],
)
def test_text_is_taken_exactly(tmp_path, data, context, query, queries):
    path = tmp_path / "text"
    path.write_bytes(data)
    assert read_text(f"@{path}") == context
    assert read_text(f"@{path}", is_query=True) == query
    assert read_queries(path) == queries


def readers(path):
    return [
        lambda: read_text(f"@{path}"),
        lambda: read_text(f"@{path}", is_query=True),
        lambda: read_queries(path),
        lambda: read_session(path),
    ]


@pytest.mark.parametrize(
    ("data", "offset", "byte"),
    [
        (b"caf\xe9 au lait", 3, "0xe9"),  # Latin-1
        (BOM + b"a\n\xff", 5, "0xff"),
        (b"ab\xe2\x82", 2, "0xe2"),  # a character that is cut off
        (b"\xed\xa0\x80", 0, "0xed"),  # half of a UTF-16 pair
        ("a".encode("utf-16"), 0, "0xff"),
    ],
)
def test_what_is_no_utf_8_is_refused_by_every_reader_with_its_place(tmp_path, data, offset, byte):
    path = tmp_path / "text"
    path.write_bytes(data)
    for read in readers(path):
        with pytest.raises(BadInput, match=rf"the byte at offset {offset} \({byte}\) is not UTF-8") as caught:
            read()
        assert str(caught.value).isprintable()
    assert f"the byte at offset {offset} ({byte}) is not UTF-8" in read_config(path)[1][0]


def test_a_file_without_an_end_is_not_read_to_it():
    for read in readers(Path("/dev/zero"))[:3]:
        with pytest.raises(BadInput, match=f"it has more than {MOST_BYTES:,} bytes: shorten it"):
            read()


def test_a_text_of_the_largest_size_is_taken_and_one_byte_more_is_not(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("é".encode() * (MOST_BYTES // 2))
    assert len(read_text(f"@{path}")) == MOST_BYTES // 2
    with path.open("ab") as file:
        file.write(b"a")
    with pytest.raises(BadInput, match=f"more than {MOST_BYTES:,} bytes"):
        read_text(f"@{path}")


def test_too_many_queries_are_refused(tmp_path):
    path = tmp_path / "text"
    path.write_text("a\n" * (MOST_QUERIES + 1))
    with pytest.raises(BadInput, match=f"holds {MOST_QUERIES + 1:,} queries"):
        read_queries(path)


@pytest.mark.parametrize(
    "prompt", [Prompt(context="é" * (MOST_BYTES // 2 + 1), query="b"), Prompt(query="a" * (MOST_BYTES + 1))]
)
def test_a_session_with_a_text_that_is_too_large_is_refused(tmp_path, prompt):
    path = tmp_path / "s.json"
    session = Session(prompt=Prompt(query="b"))
    write_session(path, session)
    document = json.loads(path.read_text())
    document["prompt"] |= {"context": prompt.context, "query": prompt.query}
    path.write_text(json.dumps(document))
    with pytest.raises(SessionError, match=f"bytes, more than {MOST_BYTES:,}"):
        read_session(path)
    with pytest.raises(SessionError, match="shorten it"):
        write_session(path, replace(session, prompt=prompt))


@pytest.mark.parametrize("text", ["", "a", "a\n", "\n", "a\r\n\r\n", "a\rb\n\rc", "a\r", "\r"])
def test_no_line_is_lost(text):
    assert "\n".join(lines(text)) == text.replace("\r\n", "\n").removesuffix("\n")


def test_a_return_that_ends_no_line_is_of_the_text():
    assert lines("a\r\nb\r") == ["a", "b\r"]


def test_the_command_says_it_in_one_line(tmp_path, capsys):
    path = tmp_path / "text"
    path.write_bytes(b"\xe9")
    for words in (["-c", f"@{path}", "-q", "b"], ["-q", f"@{path}"]):
        assert main(["measure", *words]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    for words in (["--each"], ["-q", "b", "--queries"], ["-q", "b", "--holdout"]):
        assert main(["generate", "-c", "a", "--mode", "compiled", *words, str(path)]) == 2
        assert "the byte at offset 0 (0xe9) is not UTF-8: save it as UTF-8" in capsys.readouterr().err
    assert main(["generate", "-c", "a", "-q", "b", "--control", "other", "--other-context", f"@{path}"]) == 2
    assert "offset 0" in capsys.readouterr().err
