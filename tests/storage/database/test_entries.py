"""What the log holds of a session, a measurement and a sweep's row: each number under its name, each text safe."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import asdict, replace

from icltui.storage.database.entries import (
    LoggedRow,
    LoggedSession,
    hash_of_prompt,
    measurement_entry,
    session_entries,
    sweep_entry,
)
from icltui.storage.database.stored_value import MOST_TEXT, stored_text
from icltui.values import Measurement, ModelInfo, Run, Session
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from icltui.values.sweep import SweepRow
from tests.sessions import A_MEASUREMENT, A_MODEL, A_SESSION, DROPPED, HOSTILE, TEXTS, of, recipes

PROMPT = A_SESSION.prompt


def entry_of(
    model: ModelInfo | None = A_MODEL, prompt: Prompt = PROMPT, measurement: Measurement = A_MEASUREMENT
) -> Any:
    return measurement_entry(model, prompt, measurement, source="measure")


def test_the_columns_are_those_of_the_tables():
    tables = pytest.importorskip("icltui.storage.database.tables")
    assert [column.name for column in tables.LOG.columns] == [
        "id",
        "session_id",
        "prompt_hash",
        "layer_idx",
        "token_idx",
        "token_text",
        "delta_norm",
        "update_frobenius_norm",
        "implicit_learning_rate",
        "cumulative_update_norm",
        "created_at",
    ]
    assert ("id", *LoggedRow.__struct_fields__, "created_at") == tuple(tables.LOG.columns.keys())
    assert (*LoggedSession.__struct_fields__, "created_at") == tuple(tables.SESSION.columns.keys())
    indexes = {tuple(index.columns.keys()): bool(index.unique) for index in tables.LOG.indexes}
    assert indexes == {("session_id", "layer_idx", "token_idx"): True, ("prompt_hash", "layer_idx"): False}


def test_each_number_is_under_its_name_and_unit_0_has_none_but_the_learning_rate():
    rows = {(row.token_idx, row.layer_idx): row for row in entry_of().rows}
    assert len(rows) == 6
    for row in A_MEASUREMENT.rows:
        logged = rows[row.unit, row.layer]
        numbers = (row.delta_norm, row.patch_norm, row.learning_rate, row.cumulative_patch_norm)
        assert tuple(asdict(logged).values())[5:] == numbers
    assert tuple(asdict(rows[0, 1]).values())[4:] == (None, None, None, 1 / 64, None)
    assert (rows[1, 0].token_text, rows[2, 0].token_text) == ("The", HOSTILE.replace("\udc80", "\\udc80"))


def test_under_drop_nothing_is_cumulative():
    assert {row.cumulative_update_norm for row in entry_of(measurement=DROPPED).rows} == {None}


def test_what_is_not_finite_is_none():
    wild = (math.inf, -math.inf, math.nan)
    rows = tuple(replace(row, delta_norm=value) for row, value in zip(A_MEASUREMENT.rows, wild, strict=False))
    assert [row.delta_norm for row in entry_of(measurement=replace(A_MEASUREMENT, rows=rows)).rows] == [
        None
    ] * 3


@given(TEXTS)
def test_a_stored_text_is_one_that_every_database_takes(text):
    stored = stored_text(text)
    assert "\0" not in stored
    stored.encode()
    assert stored_text(stored) == stored
    if "\0" not in text and text.isprintable():
        assert stored == text


def test_a_long_text_is_cut_and_says_so():
    assert stored_text("x" * MOST_TEXT) == "x" * MOST_TEXT
    assert stored_text("x" * 10**7) == "x" * (MOST_TEXT - 1) + "…"
    assert len(stored_text("\udc80" * MOST_TEXT)) == MOST_TEXT
    assert hash_of_prompt("x" * 10**5, "") != hash_of_prompt("x" * 10**5 + "y", "")


def test_a_long_list_of_queries_is_cut_and_says_so():
    recipe = Recipe(queries=tuple(map(str, range(10_000))))
    entry = measurement_entry(A_MODEL, PROMPT, A_MEASUREMENT, source="measure", recipe=recipe)
    assert entry.session.recipe is not None
    assert entry.session.recipe["queries"] == [*map(str, range(1000)), "…"]


OTHERS: dict[str, Any] = {
    "weights": {"model": replace(A_MODEL, fingerprint="abd")},
    "dtype": {"model": replace(A_MODEL, dtype="bfloat16")},
    "device": {"model": replace(A_MODEL, device="cuda:0")},
    "quantize": {"model": replace(A_MODEL, quantize="8bit")},
    "sites": {"model": replace(A_MODEL, sites={"mlp": "x"})},
    "versions": {"model": replace(A_MODEL, versions={"icltui": "0.1.1"})},
    "no model": {"model": None},
    "query": {"prompt": replace(PROMPT, query="The capital of Spain is")},
    "positions": {"prompt": replace(PROMPT, positions="keep")},
    "dynamics": {"measurement": replace(A_MEASUREMENT, dynamics="shrink")},
    "reference": {"measurement": replace(A_MEASUREMENT, reference="local")},
    "precision": {"measurement": replace(A_MEASUREMENT, precision="float32")},
    "layers": {"measurement": replace(A_MEASUREMENT, layers=(1,))},
    "path": {"measurement": replace(A_MEASUREMENT, path="loop")},
    "ids": {"measurement": replace(A_MEASUREMENT, tokens=replace(A_MEASUREMENT.tokens, prefix=()))},
    "units": {
        "measurement": replace(
            A_MEASUREMENT,
            tokens=replace(
                A_MEASUREMENT.tokens, units=(replace(A_MEASUREMENT.tokens.units[0], text="all", tokens=2),)
            ),
            rows=A_MEASUREMENT.rows[:4],
        )
    },
}


def test_the_id_follows_from_what_the_numbers_depend_on():
    ids = {name: entry_of(**changes).session.session_id for name, changes in OTHERS.items()}
    ids["as it is"] = entry_of().session.session_id
    assert len({*ids.values()}) == len(OTHERS) + 1
    assert all(len(one) == 32 and one == one.lower() for one in ids.values())


def test_the_id_does_not_follow_from_what_they_do_not_depend_on():
    same = measurement_entry(
        replace(A_MODEL, name="/elsewhere"),
        replace(PROMPT, unit="line"),
        replace(A_MEASUREMENT, seconds=9.0, predictions=(), pairs=()),
        source="explorer",
        title="mine",
        recipe=Recipe(alpha=0.5),
    )
    assert same.session.session_id == entry_of().session.session_id
    assert {row.session_id for row in same.rows} == {same.session.session_id}


@pytest.mark.parametrize(
    ("asked", "sizes", "stored"),
    [("auto", (1, 1), "token"), ("auto", (1, 7), "auto"), ("line", (1, 1), "line"), ("auto", (), "token")],
)
def test_tokens_are_called_so_also_where_they_were_measured_by_auto(asked, sizes, stored):
    units = tuple(
        replace(A_MEASUREMENT.tokens.units[0], index=n, tokens=size) for n, size in enumerate(sizes, 1)
    )
    measured = replace(A_MEASUREMENT, rows=(), tokens=replace(A_MEASUREMENT.tokens, units=units))
    assert entry_of(prompt=replace(PROMPT, unit=asked), measurement=measured).session.unit == stored


def test_each_run_of_a_session_once():
    earlier = replace(A_SESSION, measurement=DROPPED)
    runs = (Run(number=1, session=earlier), Run(number=2, session=A_SESSION))
    entries = [*session_entries(replace(A_SESSION, runs=runs, run=2), "by its file")]
    assert [entry.session.dynamics for entry in entries] == ["drop", "grow"]
    assert {entry.session.title for entry in entries} == {"capital-conflict"}
    (untitled,) = session_entries(replace(A_SESSION, title=""), "by its file")
    assert untitled.session.title == "by its file"
    assert not [*session_entries(Session(prompt=PROMPT))]


@settings(max_examples=30)
@given(of(ModelInfo), of(Prompt), recipes(), TEXTS)
def test_any_text_of_a_measurement_can_be_stored(model, prompt, recipe, text):
    units = (replace(A_MEASUREMENT.tokens.units[0], text=text),) * 2
    measured = replace(A_MEASUREMENT, tokens=replace(A_MEASUREMENT.tokens, units=units))
    entry = measurement_entry(model, prompt, measured, source="explorer", title=text, recipe=recipe)
    for record in (entry.session, *entry.rows):
        json.dumps(asdict(record), ensure_ascii=False).encode()
        assert "\\u0000" not in json.dumps(asdict(record))


A_SWEEP_ROW = SweepRow(
    key="k" * 32,
    model="demo",
    prompt=3,
    context="a \0",
    query="b",
    layers_used=(0, 4),
    delta_norms=(0.5, None),
    patch_norms=(0.25, 0.125),
    learning_rates=(2.0, math.inf),
)


def test_a_sweeps_row_is_a_measurement_of_one_unit():
    entry = sweep_entry(A_SWEEP_ROW, "keep")
    assert entry is not None
    assert (entry.session.session_id, entry.session.unit, entry.session.n_units) == ("k" * 32, "context", 1)
    assert (entry.session.layers, entry.session.positions, entry.session.title) == ("0,4", "keep", "prompt 3")
    values = [tuple(asdict(row).values())[2:] for row in entry.rows]
    assert values == [(0, 1, "a ␀", 0.5, 0.25, 2.0, 0.25), (4, 1, "a ␀", None, 0.125, None, 0.125)]
    assert entry.rows[0].prompt_hash == hash_of_prompt("a \0", "b")


def test_an_older_sweeps_row_lacks_numbers_and_a_failed_one_is_none():
    older = sweep_entry(replace(A_SWEEP_ROW, patch_norms=(), learning_rates=()))
    assert older is not None
    assert {row.update_frobenius_norm for row in older.rows} == {None}
    assert sweep_entry(replace(A_SWEEP_ROW, error="no")) is None
