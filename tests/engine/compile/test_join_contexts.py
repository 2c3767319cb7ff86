"""Contexts solved together: against weights changed for real in float64, and what a joint solve must equal."""

from dataclasses import replace

import pytest
import torch
from msgspec.structs import replace as with_changes

from icltui.api.progress_callback import ignore_progress
from icltui.engine.compile.interference import PatchesToCompare, compare_contexts
from icltui.engine.compile.join_contexts import (
    ContextPart,
    add_up,
    conflicts,
    joint_recipe,
    solve_together,
)
from icltui.engine.compile.read_passages import read_passages
from icltui.engine.patch.build import PatchSpec, build_from
from icltui.engine.patch.calibration import logits_without_context
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.prompts.tokenize import Ids
from icltui.values.recipe import Recipe
from tests.engine.dense_reference import compile_densely
from tests.engine.patch.test_build import EXACT, rows_of
from tests.engine.small_models import FAMILIES, tiny
from tests.joined_patches import SOURCE

pytestmark = pytest.mark.soak

ONE, OTHER = (17, 203, 88, 140, 9, 61, 255, 34), (90, 222, 4, 4, 131)
QUERIES = {ONE: ((70, 12, 199), (33, 101)), OTHER: ((5, 66, 7), (181, 20, 9))}
UNSEEN = ((44, 210), (150, 3))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def part_of(family, context, name, queries=(), unseen=(), layers=slice(None), **recipe) -> ContextPart:
    """A part whose adapter is of some of the layers, read at all of them."""
    loaded = tiny(family)

    def ids(query):
        return Ids((0,), context, query, tuple(range(len(context) + 1)))

    calibration = tuple(map(ids, queries or QUERIES[context]))
    texts = tuple(map(str, queries or QUERIES[context]))
    made = Recipe(mode="compiled", queries=texts, **{"n_fitted": 1, **recipe})
    holdout = tuple(map(ids, unseen))
    spec = PatchSpec(loaded, loaded.sites, calibration[0], "reset", made, calibration, holdout)
    passages, own = read_passages(spec, ignore_progress), replace(spec, sites=loaded.sites[layers])
    return ContextPart(with_changes(SOURCE, name=name, recipe=made), own, loaded.sites, passages)


def both(family="llama", **recipe) -> list[ContextPart]:
    return [part_of(family, ONE, "one", **recipe), part_of(family, OTHER, "other", **recipe)]


def solved(parts, ridge=None):
    calibrations = [part.passages.calibration for part in parts]
    alone = [part.alone(*both, ignore_progress) for part, *both in zip(parts, calibrations, strict=True)]
    return alone, solve_together(parts, calibrations, joint_recipe(alone, ridge)[0])


def through(patch, passage):
    with acting(patch):
        return logits_without_context(tiny("llama"), passage)


@pytest.mark.parametrize("ridge", [0.0, 1e-2])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_joined_patch_is_the_dense_joint_solve(family, ridge):
    """On every fitted token of both contexts and on queries that neither has seen."""
    parts = both(family, ridge=ridge)
    alone, joined = solved(parts)
    rows = [row for built in alone for row in rows_of(built)]
    assert joined.n_tokens == sum(n for _, _, n in rows)
    reference = compile_densely(tiny(family).model, FAMILIES[family], rows, "down", ridge)
    loaded = tiny(family)
    others = [part_of(family, ONE, "x", queries=UNSEEN).passages.calibration]
    for passage in [p for part in parts for p in part.passages.calibration] + others[0]:
        with acting(joined.patch):
            ours = logits_without_context(loaded, passage)
        assert relative_error(ours, reference.run(passage.plain, 0)[2][-len(ours) :]) < EXACT


def test_without_a_ridge_it_is_exact_on_both_contexts():
    parts = both()
    _, joined = solved(parts)
    for part in parts:
        for passage in part.passages.calibration:
            assert relative_error(through(joined.patch, passage), passage.logits) < EXACT


def test_the_order_of_contexts_changes_nothing():
    parts = both(ridge=1e-3)
    for passage in parts[0].passages.calibration:
        one, other = (through(solved(order)[1].patch, passage) for order in (parts, parts[::-1]))
        assert relative_error(one, other) < 1e-6


def test_adapters_added_up_are_the_sum_of_their_maps():
    alone, _ = solved(both(ridge=1e-3))
    one, other = alone[0].patch.at(0.5), alone[1].patch
    summed = add_up([one, other])
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = torch.randn(5, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for layer, made in summed.layers.items():
        ours, theirs = one.layers[layer], other.layers[layer]
        assert torch.allclose(made.weights(x), 0.5 * ours.weights(x) + theirs.weights(x))
        assert torch.allclose(made.output(g), 0.5 * ours.output(g) + theirs.output(g))


def test_what_the_adapters_differ_in_is_settled_and_told():
    parts = [
        part_of("llama", ONE, "one", ridge=1e-3, alpha=0.5, rank=3),
        part_of("llama", OTHER, "other", ridge=1e-2, rank=4),
    ]
    alone, joined = solved(parts)
    recipe, notes = joint_recipe(alone)
    assert (recipe.ridge, recipe.alpha, recipe.rank) == (1e-2, 0.75, 7)
    assert (joined.alpha, joined.rank) == (0.75, 7)
    assert notes == (
        "the adapters differ in ridge (0.001, 0.01): 0.01 is used for all",
        "the adapters differ in strength (0.5, 1): 0.75 is used for all",
    )
    assert joint_recipe(alone, 0.1)[0].ridge == 0.1
    assert [note for note in joint_recipe(alone, 0.1)[1] if "ridge" in note] == []


def test_adapters_of_other_layers_and_components_are_solved_at_those_of_all():
    """As if each had been made at all of them; alone each stays at its own."""
    made = {"ridge": 1e-3, "cross_fit": True}
    parts = [
        part_of("llama", ONE, "one", layers=slice(1, None), **made),
        part_of("llama", OTHER, "other", layers=slice(None, -1), components="shift", **made),
    ]
    alone, joined = solved(parts)
    n = len(tiny("llama").sites)
    assert [[*built.patch.layers] for built in alone] == [[*range(1, n)], [*range(n - 1)]]
    assert all(layer.weights is None for layer in alone[1].patch.layers.values())
    for part, ours in zip(parts, alone, strict=True):
        read = read_passages(part.spec, ignore_progress)
        theirs = build_from(part.spec, read.own, read.calibration)
        for passage in part.passages.calibration:
            assert relative_error(through(ours.patch, passage), through(theirs.patch, passage)) < 1e-9
    assert joint_recipe(alone)[1] == (
        f"the adapters differ in layers (1-{n - 1}; 0-{n - 2}): those of all are used for all",
        "the adapters differ in components (both; shift): those of all are used for all",
    )
    wanted = solved(both(**made))[1]
    x, g = torch.eye(24, dtype=torch.float64), torch.eye(40, dtype=torch.float64)
    assert [*joined.patch.layers] == [*range(n)]
    for layer, ours in joined.patch.layers.items():
        assert torch.allclose(ours.weights(x), wanted.patch.layers[layer].weights(x))
        assert torch.allclose(ours.output(g), wanted.patch.layers[layer].output(g))
    summed = add_up([built.patch for built in alone])
    assert [*summed.layers] == [*range(n)]
    assert torch.equal(summed.layers[0].output(g), alone[1].patch.layers[0].output(g))
    assert torch.equal(summed.layers[n - 1].weights(x), alone[0].patch.layers[n - 1].weights(x))


def test_a_query_with_two_answers_is_a_conflict():
    shared = (70, 12, 199)
    one, other = (
        part_of("llama", context, str(k), queries=(shared,)) for k, context in enumerate((ONE, OTHER))
    )
    (found,) = conflicts([one, other])
    first, second = (part.passages.calibration[0] for part in (one, other))
    assert first.continuation != second.continuation
    tokenizer = tiny("llama").tokenizer
    assert found.query == str(shared)
    assert found.contexts == ("0", "1")
    assert found.answers == tuple(tokenizer.decode(passage.continuation) for passage in (first, second))
    assert conflicts([one, part_of("llama", ONE, "again", queries=(shared,))]) == ()
    assert conflicts(both()) == ()


def r_by_hand(patch, passage):
    """R and the KL from the model itself, in float64 by another formula."""
    p = passage.logits.softmax(-1)
    bare, ours = (through(one, passage).softmax(-1) for one in (None, patch))
    kl, kl_plain, moved = (float((a * (a / b).log()).sum()) for a, b in ((p, ours), (p, bare), (bare, ours)))
    return 1 - kl / kl_plain, moved / len(p)


def test_the_report_is_that_of_each_ones_own_queries():
    parts = [
        part_of("llama", ONE, "one", unseen=UNSEEN[:1]),
        part_of("llama", OTHER, "other", unseen=UNSEEN[1:]),
    ]
    alone, joined = solved(parts)
    patches = PatchesToCompare(
        [built.patch for built in alone], joined.patch, add_up([built.patch for built in alone])
    )
    made = compare_contexts(parts, patches, [0.25, None], ignore_progress)
    assert [(one.name, one.n_fitted, one.is_unseen, one.n_queries) for one in made] == [
        ("one", 2, True, 1),
        ("other", 2, True, 1),
    ]
    assert [one.collateral for one in made] == [0.25, None]
    for k, (part, one) in enumerate(zip(parts, made, strict=True)):
        (passage,) = part.passages.unseen
        wanted = [r_by_hand(patch, passage) for patch in patches.alone]
        assert one.r_others == pytest.approx([r for r, _ in wanted], rel=1e-5)
        assert one.kl_others == pytest.approx([kl for _, kl in wanted], rel=1e-5)
        assert one.r_alone == one.r_others[k]
        assert one.r_joined == pytest.approx(r_by_hand(patches.joined, passage)[0], rel=1e-5)
        assert one.r_concatenated == pytest.approx(r_by_hand(patches.concatenated, passage)[0], rel=1e-5)
    assert made[0].r_joined != pytest.approx(made[0].r_concatenated, rel=1e-3)


def test_without_unseen_queries_some_are_left_out_of_every_patch():
    queries = tuple((10 + k, 100 + k) for k in range(7))
    part = part_of("llama", ONE, "one", queries=queries)
    assert not part.is_unseen
    assert [passage.ids.query for passage in part.tested] == [queries[0], queries[3], queries[6]]
    assert {p.ids.query for p in part.untested} == set(queries) - {p.ids.query for p in part.tested}
    built = part.alone(part.untested, ignore_progress)
    assert [tokens.passage.ids for tokens in built.fitted] == [passage.ids for passage in part.untested]
    whole = part_of("llama", ONE, "one", queries=queries, unseen=UNSEEN)
    assert whole.tested == whole.passages.unseen
    assert whole.untested == whole.passages.calibration


def test_a_context_that_changes_nothing_is_left_out_of_every_number():
    part = part_of("llama", ONE, "one", unseen=UNSEEN)
    passages = part.passages
    bare = [replace(p, logits=logits_without_context(tiny("llama"), p)) for p in passages.unseen]
    same = replace(part, passages=replace(passages, unseen=bare))
    built = part.alone(passages.calibration, ignore_progress)
    patches = PatchesToCompare([built.patch], built.patch, built.patch)
    (made,) = compare_contexts([same], patches, [None], ignore_progress)
    assert (made.n_queries, made.n_unchanged, made.r_joined, made.kl_others) == (0, 2, None, (None,))
