"""Adapters that can be solved together, and those that cannot: one plain line each."""

import pytest
from msgspec.structs import replace

from icltui.storage.patch_source import decode_source, encode_source
from icltui.values.errors import BadInput
from icltui.values.patch_source import check_joinable, join_sources
from icltui.values.recipe import Recipe
from tests.joined_patches import SOURCE

OTHER = replace(
    SOURCE,
    name="colours",
    ids=replace(SOURCE.ids, context=(7, 8)),
    recipe=replace(SOURCE.recipe, n_fitted=4, queries=("sky:",), ridge=0.1, rank=8),
)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ((), "1 adapter to join: name at least two"),
        ((SOURCE,), "'capitals' and 'capitals' are made from the same context and queries: name each once"),
        (
            (replace(OTHER, forced=True, refused="it harms"),),
            r"'colours' is a forced patch, which would harm \(it harms\): compile it anew",
        ),
        (
            (replace(OTHER, fingerprint="0" * 16, model="a/b"),),
            r"'capitals' and 'colours' belong to different weights \(demo, fingerprint f{16}; a/b, 0{16}\)",
        ),
        (
            (replace(OTHER, recipe=replace(OTHER.recipe, metric="plain")),),
            r"differ in their metric \(ordinary; plain\).*compile one of them anew with the other's",
        ),
        (
            (replace(OTHER, recipe=replace(OTHER.recipe, background="b.txt")),),
            r"differ in their background text \(the usual; b.txt\)",
        ),
        (
            (replace(OTHER, recipe=replace(OTHER.recipe, carrier="bias")),),
            r"carries the shift \(output; bias\)",
        ),
        (
            (replace(OTHER, recipe=replace(OTHER.recipe, cross_fit=True)),),
            r"differ in their cross-fit \(False; True\)",
        ),
    ],
)
def test_adapters_that_cannot_be_solved_together_are_refused_by_one_line(others, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        check_joinable((SOURCE, *others))
    assert "\n" not in str(caught.value)


def test_contexts_of_one_model_can_be_joined_whatever_was_chosen_for_each():
    shift = replace(OTHER, layers="1-2", recipe=replace(OTHER.recipe, components="shift"))
    check_joinable((SOURCE, shift, replace(OTHER, name="more", ids=replace(OTHER.ids, context=(9,)))))


def test_a_joined_source_lists_every_context_with_its_own_queries():
    recipe = Recipe(mode="compiled", metric="ordinary", ridge=0.1, alpha=0.5, rank=16)
    both = join_sources((SOURCE, OTHER), recipe, "0-3")
    again = decode_source(encode_source(both), "it")
    assert again == both
    third = replace(OTHER, name="third", ids=replace(OTHER.ids, context=(9,)))
    contexts = join_sources((*again.contexts, third), recipe, "0-3").contexts
    assert [context.name for context in contexts] == ["capitals", "colours", "third"]
    assert [context.recipe.queries for context in contexts] == [SOURCE.recipe.queries, ("sky:",), ("sky:",)]
    assert [context.recipe.n_fitted for context in contexts] == [2, 4, 4]
    assert [context.recipe.rank for context in contexts] == [None, 8, 8], (
        "each its own, however often it is joined"
    )
    assert {(context.recipe.ridge, context.recipe.alpha) for context in contexts} == {(0.1, 0.5)}
    assert {context.layers for context in contexts} == {"0-3"}
    assert [context.ids for context in contexts] == [SOURCE.ids, OTHER.ids, third.ids]
    assert all(context.others == () for context in contexts)
