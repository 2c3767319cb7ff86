"""The sweep: its rows have the numbers of the other commands, the same bits however it was stopped, and its errors."""

from dataclasses import replace as with_

import msgspec
import pytest
from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.messages import Generate, Measure, Verify
from icltui.engine.trial.batch import Batch
from icltui.experiment.run import RowsInMemory, run_experiment
from icltui.studies.sweep import Sweep
from icltui.studies.sweep_recipe import SweepRecipe
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from icltui.values.sweep import SweepPrompt

PAIRS = (("France", "Rome"), ("Spain", "Cairo"), ("Italy", "Paris"), ("Egypt", "Madrid"))
PROMPTS = tuple(
    SweepPrompt(
        number=k,
        context=f"The capital of {country} is {city}.\n" * (1 + k % 2),
        query=f"The capital of {country} is",
        answer=f" {city}" + "." * (k == 3),
        tags=("odd",) * (k % 2),
    )
    for k, (country, city) in enumerate(PAIRS, 1)
)
SWEEP = Sweep(
    PROMPTS, layers=("all", "last"), recipes=(SweepRecipe(), SweepRecipe(mode="frozen", alpha=0.5, seed=3))
)


@pytest.fixture(scope="module")
def rows(engine):
    store = RowsInMemory()
    run_experiment(SWEEP, store, engine=engine)
    return store


def without_seconds(rows):
    return sorted((replace(row, seconds=None) for row in rows), key=lambda row: row.key)


def test_there_is_a_row_for_each_combination(rows):
    asked = {(row.prompt, row.layers, row.mode, row.alpha_asked, row.seed) for row in rows}
    assert len(rows) == len(asked) == len({row.key for row in rows}) == 16
    assert {row.error for row in rows} == {None}


@pytest.mark.parametrize("number", [1, 2])
def test_the_numbers_are_those_of_the_other_commands(engine, rows, number):
    prompt = PROMPTS[number - 1]
    typed = Prompt(context=prompt.context, query=prompt.query)
    proof = run_to_result.verify(engine, Verify(prompt=typed))
    row = next(row for row in rows if (row.prompt, row.layers, row.mode) == (number, "all", "per-step"))
    near = {"rel": 1e-4, "abs": 1e-6}
    assert row.kl_plain == pytest.approx(proof.logits["plain"].kl, **near)
    assert row.kl_weights == pytest.approx(proof.logits["weights"].kl, **near)
    assert row.kl_shift == pytest.approx(proof.logits["shift"].kl, **near)
    assert row.kl_patched == pytest.approx(0, abs=1e-6)
    units = run_to_result.measure(engine, Measure(prompt=replace(typed, unit="\0"), dynamics="drop")).rows
    found = [one for one in units if one.unit == max(other.unit for other in units)]
    assert row.delta_norms == pytest.approx([one.delta_norm for one in found], rel=1e-4)
    for row in (row for row in rows if row.prompt == number):
        recipe = Recipe(mode=row.mode, alpha=row.alpha, seed=row.seed)
        request = Generate(prompt=typed, layers=row.layers, recipe=recipe, n_tokens=1)
        made = run_to_result.generate(engine, request)
        assert row.kl_patched == pytest.approx(made.fit["patched"].kl, **near)
        assert row.next_context == made.lanes["context"].steps[0].token.text
        assert row.next_patched == made.lanes["patched"].steps[0].token.text
        assert row.top1_patched == made.fit["patched"].top1_equal


@pytest.mark.soak
def test_stopped_and_gone_on_with_it_has_the_same_bits(engine, rows):
    store = RowsInMemory()

    def stop(progress):
        if progress.fresh == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(SWEEP, store, engine=engine, on_progress=stop)
    assert len(store) == 3
    run_experiment(SWEEP, store, engine=engine)
    assert without_seconds(store) == without_seconds(rows)


def test_a_prompt_that_cannot_be_run_is_a_row_with_its_error(engine, rows):
    long = SweepPrompt(number=5, context="a " * 4000, query="b")
    store = RowsInMemory()
    run_experiment(with_(SWEEP, prompts=(*PROMPTS, long)), store, engine=engine)
    failed = [row for row in store if row.error]
    assert {row.prompt for row in failed} == {5}
    assert "positions" in failed[0].error
    assert without_seconds(row for row in store if not row.error) == without_seconds(rows)


def test_other_weights_or_recipes_have_other_keys(engine, rows):
    keys = {row.key for row in rows}
    model = engine.info
    for changed in (
        replace(model, fingerprint="0"),
        replace(model, dtype="bfloat16"),
        replace(model, revision="step1"),
    ):
        assert not keys & {key for key, _ in SWEEP.items(engine, changed)}
    more = with_(SWEEP, recipes=(*SWEEP.recipes, SweepRecipe(seed=9)))
    assert keys < {key for key, _ in more.items(engine, model)}


def test_layers_that_are_not_there_are_refused(engine):
    with pytest.raises(BadInput, match="out of range"):
        with_(SWEEP, layers=("99",)).items(engine, engine.info)
    with pytest.raises(BadInput, match="no layer"):
        with_(SWEEP, layers=("none",)).items(engine, engine.info)


def test_each_is_every_layer_by_itself(engine):
    items = with_(SWEEP, layers=("each", "0")).items(engine, engine.info)
    assert {item.recipe.layers for _, item in items} == set(map(str, range(engine.info.n_layers)))


def test_the_summary_has_the_settings_that_vary(rows):
    failed = replace(rows[0], error="no [/b]", key="0")
    summary = SWEEP.summarise([msgspec.to_builtins(row) for row in [*rows, failed]])
    assert (summary.n_rows, summary.n_failed) == (17, 1)
    first = summary.tables[0]
    assert first.columns[:3] == ("layers", "mode", "α")
    assert sum(row[3] for row in first.rows) == 16
    exact = next(row for row in first.rows if row[:3] == ("all", "per-step", "1"))
    assert exact[first.columns.index("R")] == pytest.approx(1)
    assert [table.title for table in summary.tables][2:] == ["By tag", "Rows without a result"]
    nothing = SWEEP.summarise([])
    assert (nothing.tables, nothing.figures) == ((), ())


def test_a_context_is_shuffled_once_for_each_seed(engine, monkeypatch):
    """Whatever else is varied: a run with a long context takes most of the time."""
    contexts = []
    whole = Batch._with_context
    monkeypatch.setattr(
        Batch, "_with_context", lambda batch, ids: contexts.append(tuple(ids)) or whole(batch, ids)
    )
    recipes = tuple(SweepRecipe(alpha=alpha, seed=seed) for alpha in (0.5, 1.0) for seed in (0, 1))
    few = Sweep(PROMPTS[:1], layers=("all", "last"), recipes=recipes)
    run_experiment(few, store := RowsInMemory(), engine=engine)
    assert len(store) == 8
    assert len(contexts) == len(set(contexts)) == 3
