"""The exactness study must say yes where the patch is right, and count what a broken one misses."""

import dataclasses

import msgspec

from icltui.engine.patch.patch import TokenPatch
from icltui.studies.exactness import Exactness, ExactnessRow
from icltui.studies.exactness_summary import meets
from icltui.studies.study import StudySettings

STUDY = Exactness(StudySettings(n=2))


def rows_of(engine, items=None):
    items = STUDY.items(engine, engine.info) if items is None else items
    return [msgspec.to_builtins(row) for some in STUDY.run(engine, engine.info, items) for row in some]


def test_every_layer_of_the_embedded_model_is_exact(engine):
    rows = rows_of(engine)
    assert len(rows) == 2 * (1 + 6)
    assert all(meets(row) for row in rows if row["layer"] is not None)
    for whole in (row for row in rows if row["layer"] is None):
        assert whole["ok"]
        assert (
            whole["patched_linf"]
            < 1e-3
            < min(whole["plain_linf"], whole["random_linf"], whole["shuffled_linf"])
        )
    summary = STUDY.summarise(rows)
    assert summary.answer[0].startswith("demo: 12 of 12 pairs of layer and prompt meet all three criteria")
    assert "on 2 of 2 prompts" in summary.answer[0]
    assert "without any patch" in summary.answer[1]
    assert [line[0] for line in summary.tables[0].rows] == [0, 1, 2, 3, 4, 5]
    assert summary.tables[2].rows[3][0] == "ΔW and Δb"


def test_a_shift_that_is_forgotten_is_counted(engine, monkeypatch):
    monkeypatch.setattr(TokenPatch, "shift", lambda *_: None)
    rows = rows_of(engine)
    layers = [row for row in rows if row["layer"] is not None]
    assert sum(map(meets, layers)) < len(layers) / 2
    assert not any(row["ok"] for row in rows if row["layer"] is None)


def test_a_prompt_that_fails_is_a_row(engine):
    (key, item), *_ = STUDY.items(engine, engine.info)
    long = dataclasses.replace(item, prompt=dataclasses.replace(item.prompt, context="dax " * 5000))
    (row,) = rows_of(engine, [(key, long)])
    assert "positions" in row["error"]
    summary = STUDY.summarise([row])
    assert (summary.n_rows, summary.n_failed, summary.answer) == (1, 1, ())
    assert [table.rows for table in summary.tables] == [((1, row["error"]),)]


def test_the_criteria_are_compared_with_no_patch_at_all():
    def layer(number, nmse, effect, rank=1):
        row = ExactnessRow(
            key="k",
            model="m",
            layer=number,
            cosine=1.0,
            nmse=nmse,
            rank=rank,
            block_error=nmse**0.5,
            block_effect=effect,
        )
        return msgspec.to_builtins(row)

    whole = msgspec.to_builtins(ExactnessRow(key="k", model="m", ok=True))
    rows = [
        whole,
        layer(0, 1e-12, 0.03),
        layer(1, 1e-12, 0.5),
        layer(2, 1e-12, 0.5, rank=2),
        layer(3, 0.01, 0.5),
    ]
    summary = Exactness().add_up(rows)
    assert summary.answer[0].startswith("m: 2 of 4 pairs")
    assert summary.answer[1].startswith("m: the criteria are weak: 1 of the 4 pairs")


def test_models_are_never_put_together():
    whole = [ExactnessRow(key=name, model=name, ok=name == "a") for name in "ab"]
    layers = [
        ExactnessRow(key=name, model=name, layer=0, cosine=cosine, nmse=1e-9, rank=1)
        for name, cosine in (("a", 1.0), ("b", 0.5))
    ]
    summary = Exactness().add_up([*map(msgspec.to_builtins, [*whole, *layers])])
    said = [sentence for sentence in summary.answer if "pairs of layer and prompt" in sentence]
    assert [sentence[:20] for sentence in said] == ["a: 1 of 1 pairs of l", "b: 0 of 1 pairs of l"]
    assert [table.title.partition(":")[0] for table in summary.tables] == [*"aaabbb"]
