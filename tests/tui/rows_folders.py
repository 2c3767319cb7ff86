"""Folders of rows, made up: what a sweep over capitals would leave."""

from pathlib import Path

import msgspec

from icltui import __version__
from icltui.storage.row_store import RowStore
from icltui.storage.rows_folder import claim_folder
from icltui.values.results import Summary, SummaryTable
from icltui.values.sweep import RowsFolder, SweepRow
from tests.hostile import TOKENS

SUMMARY = Summary(
    title="A sweep",
    question="What does it do? \x1b[31m [/INST]",
    tables=(
        SummaryTable(
            title="Divergence",
            columns=("model", *(f"of layer {layer}" for layer in range(9))),
            rows=(("a/model-of-some-name", *(1.25e-7 * 3**layer for layer in range(9))),),
        ),
    ),
    answer=("It \u202eanswers.",),
    n_rows=40,
)
"""With a table that is wider than a small terminal."""


def a_row(number: int) -> SweepRow:
    """One row; every fifth has no tags, every seventh an error and no numbers."""
    failed = number % 7 == 0
    name = ("France", "Spain", "Norway", TOKENS[number % len(TOKENS)])[number % 4]
    return SweepRow(
        key=f"{number:08x}",
        error="the answer is 2 tokens, and one is needed" if failed else None,
        model="demo",
        dtype="float32",
        prompt=number + 1,
        context=f"The capital of {name} is Rome.\n",
        query=f"The capital of {name} is",
        answer=" Rome",
        tags=("capital", "true" if number % 2 else "false") if number % 5 else (),
        layers="all",
        alpha=1.0,
        delta_norms=tuple(float((number * (layer + 3)) % 11) for layer in range(6)),
        top1_patched=None if failed else number % 3 > 0,
        kl_plain=None if failed else (number * 37 % 101) / 25,
        kl_patched=None if failed else (number * 53 % 89) / 30,
    )


def rows_folder(folder: Path, rows: range = range(40), *, summary: Summary = SUMMARY) -> Path:
    """The folder, with these rows added to those that it has."""
    record = RowsFolder(kind="sweep", version=__version__, columns=SweepRow.__struct_fields__, asked={})
    claim_folder(folder, record)
    store = RowStore(folder, SweepRow)
    store.append([a_row(number) for number in rows])
    store.flush()
    (folder / "summary.json").write_bytes(msgspec.json.encode(summary))
    return folder
