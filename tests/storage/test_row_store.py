"""A folder of rows: what is written is read, what is not whole is not seen, and nothing is mixed or lost."""

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from icltui.storage.row_store import RowStore, read_rows, row_files
from icltui.storage.rows_folder import claim_folder, is_rows_folder, read_record
from icltui.values.errors import BadInput
from icltui.values.sweep import RowsFolder, SweepRow

RECORD = RowsFolder(
    kind="sweep", version="1", columns=SweepRow.__struct_fields__, asked={"models": ["a"], "tokens": 0}
)


@pytest.fixture
def folder(tmp_path):
    claim_folder(tmp_path / "out", RECORD)
    return tmp_path / "out"


def listing(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_rows_come_back_as_they_were(folder):
    row = SweepRow(
        key="k",
        context="漢\x00\n",
        tags=("a", "b"),
        delta_norms=(0.1, None),
        layers_used=(0, 3),
        seed=2**63 - 1,
    )
    store = RowStore(folder, SweepRow)
    store.append([row])
    assert (store.n_pending, row_files(folder)) == (1, [])
    store.flush()
    (found,) = read_rows(folder).to_pylist()
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()} == {
        name: getattr(row, name) for name in SweepRow.__struct_fields__
    }


def test_an_empty_folder_has_no_rows(folder):
    assert len(read_rows(folder)) == 0
    assert RowStore(folder, SweepRow).keys() == set()


def test_half_characters_do_not_end_it(folder):
    store = RowStore(folder, SweepRow)
    store.append([SweepRow(key="k", error="bad \ud800")])
    store.flush()
    assert read_rows(folder)["error"].to_pylist() == ["bad ?"]


def test_of_one_key_the_row_without_an_error_counts(folder):
    for writer, rows in (
        ("a", [SweepRow(key="1", error="no"), SweepRow(key="2", seconds=1.0)]),
        ("b", [SweepRow(key="1"), SweepRow(key="2", seconds=2.0), SweepRow(key="3", error="no")]),
    ):
        store = RowStore(folder, SweepRow, writer)
        store.append(rows)
        store.flush()
    found = [(row["key"], row["error"], row["seconds"]) for row in read_rows(folder).to_pylist()]
    assert found == [("1", None, None), ("2", None, 1.0), ("3", "no", None)]
    assert (store.keys(), store.keys(failed=False)) == ({"1", "2", "3"}, {"1", "2"})


def test_parts_of_one_item_are_rows_of_their_own(folder):
    store = RowStore(folder, SweepRow)
    store.append([SweepRow(key="1", part=1), SweepRow(key="1", part=0), SweepRow(key="1", part=1)])
    store.flush()
    assert read_rows(folder, ["part"])["part"].to_pylist() == [0, 1]


def test_what_a_killed_writer_left_is_not_read(folder):
    store = RowStore(folder, SweepRow)
    store.append([SweepRow(key="1")])
    store.flush()
    (whole,) = row_files(folder)
    (folder / "rows" / f".icltui-{os.getpid()}-abcdefgh1234").write_bytes(whole.read_bytes()[:50])
    (folder / "rows" / ".hidden.parquet").write_bytes(b"torn")
    assert len(read_rows(folder)) == 1


def test_a_full_disk_is_one_line_and_loses_nothing(folder, monkeypatch):
    store = RowStore(folder, SweepRow)
    store.append([SweepRow(key="1")])
    store.flush()
    before = listing(folder)

    def full(_handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        store.append([SweepRow(key="2")])
        with pytest.raises(
            BadInput, match="no space left on device: make room, then run the same"
        ) as refused:
            store.flush()
    assert "\n" not in str(refused.value)
    assert (listing(folder), store.n_pending) == (before, 1)
    store.flush()
    assert read_rows(folder)["key"].to_pylist() == ["1", "2"]


def test_a_damaged_file_is_named(folder):
    (folder / "rows" / "x-0001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadInput, match=r"cannot read .*x-0001\.parquet: .*: remove it"):
        read_rows(folder)


@pytest.mark.parametrize(
    "columns",
    [
        {"key": [1], "part": [0], "error": ["a"]},
        {"key": ["a"], "part": ["b"], "error": ["a"]},
        {"key": ["a"], "error": ["a"]},
        {"key": [None], "part": [0], "error": ["a"]},
        {"key": ["a"], "part": [0], "error": ["a"], "kl_plain": ["much"]},
    ],
)
def test_a_file_of_something_else_is_named(folder, columns):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    store = RowStore(folder, SweepRow)
    store.append([SweepRow(key="1", kl_plain=1.0)])
    store.flush()
    parquet.write_table(pa.table(columns), folder / "rows" / "z.parquet")
    with pytest.raises(BadInput, match=r"cannot read .*z\.parquet: .*: remove it") as refused:
        read_rows(folder)
    assert "\n" not in str(refused.value)


def test_what_differs_is_told_where_it_differs(tmp_path):
    asked = [
        {"layers": "all", "mode": "per-step", "components": "both", "alpha": alpha} for alpha in (1, 0.5)
    ]
    claim_folder(tmp_path / "out", replace(RECORD, asked={"recipes": asked[:1]}))
    with pytest.raises(BadInput, match=r"\(recipes was ….*\"alpha\":1}], now ….*\"alpha\":0\.5}]\)"):
        claim_folder(tmp_path / "out", replace(RECORD, asked={"recipes": asked[1:]}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "study"}, "holds rows of sweep, not of study"),
        ({"version": "2"}, "holds rows of icltui 1, and this is 2"),
        ({"columns": ("key",)}, "other columns"),
        ({"asked": {"models": ["b"], "tokens": 0}}, r"another sweep \(models was .*, now .*\)"),
        ({"asked": {"models": ["a"]}}, r"another sweep \(tokens was 0, now null\)"),
    ],
)
def test_other_rows_are_refused_and_nothing_is_touched(folder, change, complaint):
    before = listing(folder)
    with pytest.raises(BadInput, match=complaint) as refused:
        claim_folder(folder, replace(RECORD, **change))
    assert "\n" not in str(refused.value)
    assert listing(folder) == before
    assert read_record(folder) == RECORD


@pytest.mark.parametrize("name", ["rows", "summary.md", "rows.csv", "figures"])
def test_a_folder_with_files_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput, match="of something else"):
        claim_folder(tmp_path, RECORD)
    assert not is_rows_folder(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"kind": 1}', b"\xff", b"[" * 10**6], ids=range(6))
def test_a_damaged_record_is_one_line(folder, data):
    (folder / "experiment.json").write_bytes(data)
    with pytest.raises(BadInput, match=r"experiment\.json: .*restore a copy") as refused:
        claim_folder(folder, RECORD)
    assert "\n" not in str(refused.value)


def test_of_two_sweeps_at_once_one_gets_the_folder(tmp_path):
    records = [replace(RECORD, asked={"n": k % 2}) for k in range(16)]

    def claim(record):
        try:
            claim_folder(tmp_path / "out", record)
        except BadInput:
            return None
        return record.asked["n"]

    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(claim, records)) - {None}
    assert got == {json.loads((tmp_path / "out" / "experiment.json").read_text())["asked"]["n"]}


def test_without_pyarrow_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"pip install 'icltui\[study\]'"):
        RowStore(folder, SweepRow)
