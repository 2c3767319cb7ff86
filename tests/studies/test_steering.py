"""The steering study on the embedded model, and its summary on rows whose sums are known by hand."""

import msgspec
import pytest
import torch

from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.evaluate import centred
from icltui.engine.prompts.tokenize import tokenize
from icltui.studies import steering
from icltui.studies.steering import Steering, SteeringRow, spread_layers
from icltui.studies.steering_summary import at_one, held_out, of_another, own
from icltui.studies.study import StudySettings, load_study
from icltui.tasks.steering import steering_prompts
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe


@pytest.fixture(scope="module")
def rows(engine):
    study = Steering(StudySettings(n=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steering, "spread_layers", lambda _: [5])
        return [
            row for some in study.run(engine, engine.info, study.items(engine, engine.info)) for row in some
        ]


def test_prompts_differ_and_fewer_are_the_first_of_more():
    for kind in ("general", "embedded"):
        many = steering_prompts(kind, 200)
        assert len({(one.context, one.query) for one in many}) == 200
        assert steering_prompts(kind, 80) == many[:80] != steering_prompts(kind, 80, seed=1)
    with pytest.raises(ValueError, match="different ones can be made"):
        steering_prompts("general", 10_000)


def test_rows_are_the_patch_of_each_prompt_alone(engine, rows):
    """At its own strength: the frozen ΔW at one layer, through the way that generate takes."""
    loaded = engine.loaded
    assert len(rows) == 4 * 4
    assert len({row.key for row in rows}) == 4
    for row in rows:
        if row.patch != "ΔW":
            continue
        ids, _ = tokenize(loaded, Prompt(context=row.context, query=row.query))
        recipe = Recipe(mode="frozen", components="weights")
        with torch.inference_mode():
            spec = PatchSpec(loaded, [loaded.sites[row.layer]], ids, "reset", recipe)
            built = build_patch(spec, n_later=0)
            logits = patched_logits(built, built.own, row.alpha)[0]
            error = (centred(logits) - centred(built.own.logits[0])).square().mean()
        assert row.mse == pytest.approx(float(error), rel=1e-3, abs=1e-5)
        assert row.mse <= row.mse_plain * (1 + 1e-5)
        assert row.mse <= min(row.grid_mse) * (1 + 1e-5)


def test_the_last_layer_helps_more_than_its_controls(rows):
    """On four prompts; the manual has eighty."""
    drops = {
        patch: sum(row.mse_plain - row.mse for row in rows if (row.layer, row.patch) == (5, patch))
        for patch in ("ΔW", "random", "shuffled", "heuristic")
    }
    assert drops["ΔW"] > 2 * max(drops["random"], drops["shuffled"], drops["heuristic"])


def test_an_item_is_the_same_in_whatever_company(engine, rows, monkeypatch):
    monkeypatch.setattr(steering, "spread_layers", lambda _: [5])
    study = Steering(StudySettings(n=3))
    items = [item for item in study.items(engine, engine.info) if item[1].number == 1]
    (alone,) = study.run(engine, engine.info, items)
    for one, two in zip(alone, [row for row in rows if row.number == 1], strict=True):
        assert (one.key, one.part, one.layer, one.patch) == (two.key, two.part, two.layer, two.patch)
        assert one.mse == pytest.approx(two.mse, rel=1e-3, abs=1e-5)


def test_too_many_prompts_are_refused(engine):
    with pytest.raises(BadInput, match="ask for fewer"):
        load_study("steering", StudySettings(n=100_000)).items(engine, engine.info)


def made(prompt, patch, alpha, mse, grid_mse, model="m"):
    row = SteeringRow(
        key=str(prompt),
        number=prompt,
        model=model,
        layer=3,
        patch=patch,
        alpha=alpha,
        mse_plain=10.0,
        mse=mse,
        kl_plain=2.0,
        kl=mse / 10,
        grid=(0.0, 1.0, 2.0),
        grid_mse=grid_mse,
        grid_kl=tuple(x / 10 for x in grid_mse),
    )
    return msgspec.to_builtins(row)


HAND = [
    made(0, "ΔW", 0.9, 4.0, (10.0, 4.5, 12.0)),
    made(1, "ΔW", 1.8, 5.0, (10.0, 9.0, 5.5)),
    made(2, "ΔW", 1.1, 1.0, (10.0, 2.0, 11.0)),
    made(3, "ΔW", 0.0, 10.0, (10.0, 14.0, 8.0)),
    *(made(k, "random", 0.0, 10.0, (10.0, 11.0, 12.0)) for k in range(4)),
]


def test_strengths_are_judged_where_they_were_not_chosen():
    rows = [row for row in HAND if row["patch"] == "ΔW"]
    assert own(rows).drops == [6, 5, 9, 0]
    assert own(rows).improved == 0.75
    # The odd prompts choose 2 for the even ones, these choose 1 for the odd ones.
    assert held_out(rows).drops == [-2, -1, 1, -4]
    assert held_out(rows, "kl").after == pytest.approx([1.2, 1.1, 0.9, 1.4])
    # Prompt 0 takes prompt 3's strength 0, prompt 1 takes 0.9, prompt 2 takes 1.8, prompt 3 takes 1.1.
    assert of_another(rows).drops == [0, 1, -1, -4]
    assert at_one(rows).drops == [5.5, 1, 8, -4]


def test_the_summary_counts_as_by_hand():
    failed = msgspec.to_builtins(SteeringRow(key="x", number=9, error="too long"))
    summary = Steering().add_up([*HAND, failed])
    first = dict(zip(summary.tables[0].columns, summary.tables[0].rows[0], strict=True))
    assert [first[name] for name in ("better %", "before", "after", "drop")] == [75.0, 10.0, 5.0, 5.0]
    assert (first["median"], first["α"]) == (5.5, 1.0)
    second = dict(zip(summary.tables[2].columns, summary.tables[2].rows[0], strict=True))
    assert [second[name] for name in ("half %", "half", "other", "α=1", "next")] == [
        25.0,
        -1.5,
        -1.0,
        2.625,
        None,
    ]
    assert (summary.n_rows, summary.n_failed) == (9, 1)
    assert "75.0 % of 4 prompts improve" in summary.answer[0]
    assert "falls from 10 to 5 (mean drop 5, median 5.5)" in summary.answer[0]
    assert {figure.kind for figure in summary.figures} == {"scatter", "histogram", "lines"}
    assert summary.figures[1].series[0].x == (6, 5, 9, 0)
    assert Steering().add_up([failed]).tables == ()


def test_layers_of_deep_models_are_spread():
    assert spread_layers(range(6)) == [0, 1, 2, 3, 4, 5]
    assert spread_layers(range(12)) == [1, 3, 5, 7, 9, 11]


def test_models_are_never_put_together():
    other = [{**row, "model": "n", "mse": row["mse"] / 2, "kl": row["kl"] / 2} for row in HAND]
    alone, both = (Steering().add_up(rows) for rows in (HAND, [*HAND, *other]))
    n = len(alone.tables)
    assert both.tables[:n] == alone.tables
    assert [table.title.partition(":")[0] for table in both.tables] == ["m"] * n + ["n"] * n
    assert both.tables[n].rows[0][4] == 2.5
    assert len({figure.name for figure in both.figures}) == 6


def test_a_single_prompt_has_no_strength_of_another():
    assert of_another(HAND[:1]).drops == []
