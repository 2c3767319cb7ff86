"""Prompts from files: each form, hostile lines told by their numbers while the rest is read, and what is refused."""

import json
import random
import sys

import pytest

from icltui.storage.prompt_file import MOST_TOLD, PromptSource, read_prompts
from icltui.values.errors import BadInput
from icltui.values.prompt import MOST_BYTES

WHOLE = json.dumps({"context": "a ", "query": "b", "answer": " c", "tags": ["t", "u", "t"]}).encode()


def read(path, data, **how):
    path.write_bytes(data)
    return read_prompts(PromptSource(str(path), **how))


def numbers(found):
    return [int(line.partition(":")[0]) for line in found.broken]


def test_json_lines_with_a_mark_and_both_line_ends(tmp_path):
    found = read(tmp_path / "p.jsonl", b"\xef\xbb\xbf" + WHOLE + b"\r\n\n" + b'{"query": 3, "answer": 7.5}')
    first, second = found.prompts
    assert (first.number, first.context, first.query, first.answer) == (1, "a ", "b", " c")
    assert first.tags == ("t", "u")
    assert (second.number, second.query, second.answer) == (3, "3", "7.5")
    assert (found.broken, found.n_duplicates) == ((), 0)


@pytest.mark.parametrize(
    "line",
    [
        b'{"query": "never closed',
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[1]",
        b'{"context": "no query"}',
        b'{"query": ""}',
        b'{"query": null}',
        b'{"query": true}',
        b'{"query": {"a": 1}}',
        b'{"query": "q", "tags": 5}',
        b'{"query": "q", "tags": [[]]}',
        b'{"query": "' + b"x" * (MOST_BYTES + 1) + b'"}',
        b'{"query": "' + b"x" * 10_000_000 + b'"}',
    ],
    ids=range(16),
)
def test_a_broken_line_is_told_and_the_rest_is_read(tmp_path, line):
    found = read(tmp_path / "p.jsonl", WHOLE + b"\n" + line + b"\n" + b'{"query": "last"}')
    assert [prompt.number for prompt in found.prompts] == [1, 3]
    assert numbers(found) == [2]
    assert len(found.broken[0]) < 200
    assert "\n" not in found.broken[0]


def test_a_nul_is_text(tmp_path):
    assert read(tmp_path / "p.jsonl", b'{"query": "a\\u0000b"}').prompts[0].query == "a\x00b"


def test_equal_prompts_are_one(tmp_path):
    found = read(tmp_path / "p.jsonl", WHOLE + b"\n" + WHOLE.replace(b'"t"', b'"v"') + b"\n" + WHOLE)
    assert (len(found.prompts), found.n_duplicates) == (1, 2)


def test_many_broken_lines_are_counted(tmp_path):
    found = read(tmp_path / "p.jsonl", b"no\n" * 1000 + WHOLE)
    assert (len(found.broken), found.n_broken, len(found.prompts)) == (MOST_TOLD, 1000, 1)


def test_random_bytes_never_end_it(tmp_path):
    chance = random.Random(5)
    for ending in ("jsonl", "csv", "tsv"):
        data = bytes(chance.choices(b'{}[]",:\n\r\\u\xff\x00ab\t', k=4000))
        head = WHOLE + b"\n" if ending == "jsonl" else b"query\nfirst\n"
        assert read(tmp_path / f"p.{ending}", head + data).prompts


def test_csv_with_quoted_lines_and_broken_rows(tmp_path):
    data = (
        b'\xef\xbb\xbfcontext,query,answer,tags\r\na,"b\r\nc",d,"x, y"\r\nonly two,cells\r\n'
        b'\xff,q,r,\r\n,,e,\r\n"un"closed,x,y,z\r\nok,fine,yes,\r\n"never'
    )
    found = read(tmp_path / "p.csv", data)
    assert [(one.number, one.query, one.tags) for one in found.prompts] == [
        (2, "b\r\nc", ("x", "y")),
        (8, "fine", ()),
    ]
    assert numbers(found) == [4, 5, 6, 7, 9]


def test_tsv_with_other_names(tmp_path):
    found = read(
        tmp_path / "p.tsv", b"question\ttext\nq\tc\n", columns={"query": "question", "context": "text"}
    )
    assert (found.prompts[0].query, found.prompts[0].context) == ("q", "c")


def test_a_named_field_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match=r"no prompt \(1: no field 'text'\)"):
        read(tmp_path / "p.jsonl", WHOLE, columns={"context": "text"})


def test_inputs_and_outputs_become_prompts_after_other_examples(tmp_path):
    pairs = [{"input": f"in{k}", "output": f"out{k}"} for k in range(9)]
    data = json.dumps([*pairs, {"input": ""}, 5, {"input": "a", "output": []}]).encode()
    found = read(tmp_path / "antonyms.json", data, shots=3)
    assert numbers(found) == [10, 11, 12]
    for k, prompt in enumerate(found.prompts):
        assert (prompt.query, prompt.answer, prompt.tags) == (f"Q: in{k}\nA:", f" out{k}", ("antonyms",))
        assert prompt.context.count("Q: ") == prompt.context.count("\nA: out") == 3
        assert f"in{k}\n" not in prompt.context
    assert read(tmp_path / "antonyms.json", data, shots=3) == found
    assert read(tmp_path / "antonyms.json", data, shots=3, seed=1) != found
    assert read(tmp_path / "antonyms.json", data, shots=0).prompts[0].context == ""


def test_too_few_examples_are_told(tmp_path):
    with pytest.raises(BadInput, match="1 other entries, and 5 examples are wanted"):
        read(
            tmp_path / "p.json",
            json.dumps([{"input": "a", "output": "b"}, {"input": "c", "output": "d"}]).encode(),
        )


def test_the_limit_is_of_lines(tmp_path):
    data = b"".join(b'{"query": "%d"}\n' % k for k in range(10))
    assert len(read(tmp_path / "p.jsonl", data, limit=4).prompts) == 4


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("p.jsonl", b"", "holds no prompt"),
        ("p.csv", b"", "holds no prompt"),
        ("p.txt", b"x", "prompts come as .jsonl"),
        ("p.csv", b"query,query\na,b\n", "two columns are called .query."),
        ("p.json", b"{}", "is no list"),
        ("p.json", b"[" * 100_000, "no JSON"),
        ("p.json", b"\xff", "offset 0 .0xff. is not UTF-8"),
        ("missing.jsonl", None, "no such file or directory"),
        ("a\x00b.jsonl", None, "NUL"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(tmp_path, name, data, complaint):
    path = tmp_path / name
    with pytest.raises(BadInput, match=complaint) as refused:
        read_prompts(PromptSource(str(path))) if data is None else read(path, data)
    assert "\n" not in str(refused.value)


def test_without_the_library_a_data_set_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match=r"no file .*pip install 'icltui\[datasets\]'"):
        read_prompts(PromptSource(str(tmp_path / "some/name")))


def test_a_data_set_is_read_no_further_than_asked(monkeypatch):
    taken = []

    class Datasets:
        @staticmethod
        def load_dataset(name, streaming):
            assert (name, streaming) == ("a/b", True)

            def entries():
                for k in range(10**9):
                    taken.append(k)
                    yield {"query": f"q{k}", "answer": str(k)}

            return {"train": entries(), "test": entries()}

    monkeypatch.setitem(sys.modules, "datasets", Datasets)
    assert [one.query for one in read_prompts(PromptSource("a/b:train", limit=3)).prompts] == [
        "q0",
        "q1",
        "q2",
    ]
    assert len(taken) == 3
    with pytest.raises(BadInput, match="no split 'dev': choose from train, test"):
        read_prompts(PromptSource("a/b:dev"))
