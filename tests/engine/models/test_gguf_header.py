"""The header of a GGUF: what it says, and that no damage or claim does more than one refusal."""

import struct
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from icltui.engine.models.gguf_file import model_header
from icltui.engine.models.gguf_header import read_header
from icltui.values.errors import ModelError
from tests.engine.gguf_files import make_model, write_gguf

HUGE = 2**60


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return write_gguf(folder / "tiny.gguf", make_model("llama"), "llama", Blocks.Q8_0, settings={"a.b": 2.5})


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(n_tensors=0, n_settings=0, version=3, body=b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_settings) + body


def setting(kind: int, value: bytes) -> bytes:
    return text("key") + struct.pack("<I", kind) + value


def tensor(name="t", dimensions=(32,), kind=0, start=0) -> bytes:
    sizes = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return text(name) + sizes + struct.pack("<IQ", kind, start)


def test_it_says_what_was_written(file):
    read = read_header(file)
    assert read.architecture == "llama"
    assert read.settings["llama.block_count"] == 2
    assert read.settings["a.b"] == 2.5
    assert read.settings["tokenizer.ggml.add_bos_token"] is True
    assert read.left_out["tokenizer.ggml.tokens"] == 259
    assert read.blocks == "Q8_0"
    down = read.tensors["blk.1.ffn_down.weight"]
    assert (down.shape, down.type, down.n_bytes) == ((64, 96), "Q8_0", 64 * 96 // 32 * 34)
    last = max(read.tensors.values(), key=lambda each: each.start)
    assert read.data_start + last.start + last.n_bytes <= file.stat().st_size


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no GGUF file"),
        (b"PK\3\4" + bytes(100), "is no GGUF file, as it does not begin with the letters GGUF: give"),
        (b"GGUF", "is cut off in its header"),
        (header(version=1), "is of version 1: GGUF files of version 2 and 3"),
        (header(version=3 << 24), "is a big-endian file"),
        (header(n_tensors=HUGE), "claims more than 10^15 tensors"),
        (header(n_settings=HUGE), "claims more than 10^15 settings"),
        (header(n_tensors=2**20), "is cut off in its header"),
        (header(n_settings=1, body=struct.pack("<Q", HUGE)), "is cut off in its header"),
        (header(n_settings=1, body=setting(8, struct.pack("<Q", HUGE))), "is cut off in its header"),
        (header(n_settings=1, body=setting(9, struct.pack("<IQ", 8, HUGE))), "10^15 strings in a list"),
        (
            header(n_settings=1, body=setting(8, struct.pack("<Q", 1) + b"\xff")),
            "holds text that is not UTF-8",
        ),
        (
            header(n_settings=1, body=setting(9, struct.pack("<IQQ", 8, 1, 1) + b"\xff")),
            "holds text that is not UTF-8",
        ),
        (header(n_settings=1, body=setting(9, struct.pack("<IQ", 0, HUGE))), "10^15 numbers in a list"),
        (header(n_settings=1, body=setting(9, struct.pack("<IQ", 9, 1))), "a list of the unknown type 9"),
        (header(n_settings=1, body=setting(77, b"")), "a setting of the unknown type 77"),
        (
            header(n_tensors=1, body=text("t") + struct.pack("<I", 2**31) + bytes(99)),
            "of 2,147,483,648 dimensions",
        ),
        (header(n_tensors=1, body=tensor(dimensions=(HUGE,))), "it has 57 of more than 10^15 bytes"),
        (header(n_tensors=1, body=tensor(start=HUGE)), "it has 57 of more than 10^15 bytes"),
        (
            header(n_tensors=1, body=tensor(kind=999)),
            "in blocks of type 999, which the gguf package does not know",
        ),
        (header(n_tensors=1, body=tensor(dimensions=(33,), kind=8)), "in rows that are no whole blocks"),
        (header(n_tensors=2, body=2 * tensor(dimensions=(0,)) + bytes(64)), "names a tensor twice"),
        (
            header(n_tensors=1, body=tensor() + bytes(60)),
            "is cut off: it has 117 of 192 bytes: download it again",
        ),
    ],
)
def test_damage_and_claims_are_refused_at_once(tmp_path, content, said):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    began = time.process_time()
    with pytest.raises(ModelError) as caught:
        read_header(path)
    assert said in str(caught.value)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("value", [0, 2**17, "x"])
def test_an_alignment_that_is_none_is_refused(tmp_path, value):
    key = text("general.alignment")
    stored = struct.pack("<II", 4, value) if isinstance(value, int) else struct.pack("<I", 8) + text(value)
    path = tmp_path / "x.gguf"
    path.write_bytes(header(n_settings=1, body=key + stored))
    with pytest.raises(ModelError, match="has an alignment that is none"):
        read_header(path)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: no such file or directory"):
        read_header(tmp_path / "x.gguf")


def test_a_file_cut_off_anywhere_is_refused(file, tmp_path):
    whole, path, data = file.read_bytes(), tmp_path / "cut.gguf", read_header(file).data_start
    for size in [*range(0, data, 64), data, (data + len(whole)) // 2, len(whole) - 33]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"is cut off|is no GGUF"):
            model_header(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_written_over_the_header_is_read_or_refused(file, tmp_path_factory, data):
    whole = bytearray(file.read_bytes())
    end = read_header(file).data_start
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, end - 8))
        written = data.draw(st.binary(min_size=1, max_size=8))
        whole[start : start + len(written)] = written
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(whole)
    with suppress(ModelError):
        model_header(path)
