"""Ordinary text as rows: the model's own, the user's, the program's; and what is no such text, in one line."""

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from icltui.api.messages import DEMO
from icltui.demo.corpus import background as corpus_background
from icltui.engine.metric import background as module
from icltui.engine.metric.background import Background, read_background, rows
from icltui.storage.paths import BACKGROUND, MODEL_DIR
from icltui.values.errors import BadInput
from tests.engine.small_models import tiny

TEXT = "\f".join("".join(f"line {line} of document {k}, " for line in range(40)) for k in range(9))


def test_the_text_of_the_program_comes_with_it_and_is_of_many_kinds() -> None:
    data = BACKGROUND.read_bytes()
    assert 60_000 < len(data) <= 200_000
    text = data.decode("utf-8")
    assert len(text.split("\f")) >= 15
    for piece in (
        "#include <stdio.h>",
        "SELECT ",
        "Theorem.",
        "User: ",
        '"sensors": [',
        "Yours faithfully",
        "| Month",
    ):
        assert piece in text
    # Trademarks of where public-domain texts are found, and lists of the kind that in-context tasks are made of.
    assert "gutenberg" not in text.lower()
    assert " -> " not in text.split("fn count_words")[0].split("def ")[0]


def test_the_embedded_models_own_text_is_of_its_corpus_and_no_training_seed() -> None:
    assert (MODEL_DIR / module.FILE).read_bytes().decode() == corpus_background()


def test_a_models_own_text_goes_before_the_programs_and_the_users_before_both(tmp_path: Path) -> None:
    plain = tiny("llama")
    folder = tmp_path / "model"
    folder.mkdir()
    own = replace(plain, model=SimpleNamespace(name_or_path=str(folder)))
    assert read_background(plain, "").text == read_background(own, "").text == BACKGROUND.read_text("utf-8")
    (folder / "background.txt").write_text("mine", encoding="utf-8")
    assert read_background(own, "").text == "mine"
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfyours\r\n")
    given = read_background(own, str(tmp_path / "b.txt"))
    assert given.text == "yours\r\n"
    assert given.digest == hashlib.sha256(b"yours\r\n").hexdigest()[:16]
    assert DEMO  # the embedded model's folder is such a folder


def test_rows_begin_with_the_kept_tokens_and_hold_every_token_once() -> None:
    loaded, text = replace(tiny("llama"), window=40), Background("a text", TEXT)
    parts = {part: rows(loaded, text, part) for part in ("metric", "held out")}
    every = [row for part in parts.values() for row in part]
    assert all(row.ids[:1] == (0,) and row.n_kept == 1 and len(row.ids) <= 40 for row in every)
    assert sum(row.n_text for row in every) == sum(len(document) for document in TEXT.split("\f"))
    assert len(parts["held out"]) == len(every) // 5
    assert rows(loaded, text) == parts["metric"]  # the same each time


def test_a_long_text_is_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, text = tiny("llama"), Background("a text", TEXT)
    whole = rows(loaded, text)
    monkeypatch.setattr(module, "MOST_TOKENS", 2000)
    few = rows(loaded, text)
    assert 1500 < sum(row.n_text for row in few) <= 2300
    assert [whole.index(row) for row in few] == sorted({whole.index(row) for row in few})
    assert whole.index(few[-1]) > 0.7 * len(whole)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has 0 tokens, too few to say what is ordinary: give --background a file of 1,024 or more"),
        (b"a few words", "has 11 tokens, too few"),
        (b"\x7fELF\x00\x01" * 999, "contains a NUL"),
        (b"caf\xe9 " * 999, "the byte at offset 3 (0xe9) is not UTF-8: save it as UTF-8"),
        (b"a" * (4 * 2**20 + 1), "it has more than 4,194,304 bytes: shorten it"),
        (None, "no such file or directory: name another --background, or restore that file"),
    ],
)
def test_what_is_no_background_is_one_line(tmp_path: Path, data: bytes | None, words: str) -> None:
    path = tmp_path / "b.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        rows(tiny("llama"), read_background(tiny("llama"), str(path)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
