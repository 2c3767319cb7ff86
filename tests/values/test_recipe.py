"""What a patch may be made by, what a mode does not look at, and how it is said."""

import pytest

from icltui.api.option_table import check_options
from icltui.values.bounds import TOKENS
from icltui.values.errors import BadInput
from icltui.values.recipe import (
    LARGEST_ALPHA,
    Recipe,
    Sampling,
    canonical,
    idle,
    patch_words,
)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(alpha=2.1), "alpha 2.1 is out of range: give 0 to 2, search or jvp"),
        (Recipe(alpha=-0.1), "alpha -0.1"),
        (Recipe(alpha=float("nan")), "alpha nan"),
        (Recipe(n_fitted=-1), "-1 continuation tokens"),
        (Recipe(rank=0), "rank 0"),
        (Recipe(ridge=-1.0), "ridge -1"),
        (Recipe(ridge=float("inf")), "ridge inf"),
        (Recipe(control="other"), "needs another context: give --other-context"),
        (Recipe(queries=("a", "")), "a query to fit on is empty"),
        (Recipe(seed=2**63), "seed 9223372036854775808 is out of range"),
    ],
)
def test_what_no_patch_can_be_made_by_is_one_line(recipe, words):
    with pytest.raises(BadInput, match=words) as caught:
        check_options(recipe)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0, 1, "search", "jvp"])
def test_every_strength_in_range_will_do(alpha):
    check_options(Recipe(alpha=alpha))


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(temperature=-1.0), "temperature -1"),
        (Sampling(temperature=float("nan")), "temperature nan"),
        (Sampling(top_k=0), "top-k 0"),
        (Sampling(top_p=0.0), "top-p 0 "),
        (Sampling(top_p=1.5), "top-p 1.5"),
        (Sampling(seed=-1), "seed -1"),
    ],
)
def test_what_no_token_can_be_drawn_by(sampling, words):
    with pytest.raises(BadInput, match=words):
        check_options(sampling)


def test_idle_fields_are_those_that_were_changed_and_do_nothing():
    assert idle(Recipe()) == ()
    assert idle(Recipe(carrier="bias")) == ("carrier",)
    assert idle(Recipe(mode="frozen", carrier="bias")) == ()
    assert idle(Recipe(mode="frozen", rank=2, ridge=0.1, n_fitted=3)) == ("n_fitted", "rank", "ridge")
    assert idle(Recipe(mode="compiled", rank=2, ridge=0.1, queries=("a",))) == ()
    assert idle(Recipe(mode="frozen", carrier="bias", components="weights")) == ("carrier",)
    constant = Recipe(mode="compiled", carrier="bias", components="shift", rank=2, ridge=0.1)
    assert idle(constant) == ("rank", "ridge")
    assert idle(Recipe(control="random", other_context="x")) == ("other_context",)
    assert idle(Recipe(control="other", other_context="x")) == ()


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(), "per-step, ΔW and Δb"),
        (
            Recipe(mode="frozen", components="shift", carrier="bias"),
            "frozen, Δb alone, the shift as a constant",
        ),
        (
            Recipe(
                mode="compiled",
                n_fitted=4,
                rank=3,
                ridge=1e-4,
                alpha=0.5,
                control="random",
                queries=("a", "b"),
            ),
            "compiled on 2 queries and 4 tokens after each, ΔW and Δb, rank 3, ridge 0.0001, α 0.5, control: random",
        ),
        (Recipe(mode="compiled", n_fitted=0), "compiled on the query, ΔW and Δb"),
        (Recipe(mode="compiled", n_fitted=1), "compiled on the query and 1 token after it, ΔW and Δb"),
        (
            Recipe(mode="compiled", queries=("a",), n_fitted=2),
            "compiled on 1 query and 2 tokens after it, ΔW and Δb",
        ),
        (Recipe(alpha="jvp", rank=3), "per-step, ΔW and Δb, α jvp"),
    ],
)
def test_a_recipe_in_words(recipe, words):
    assert patch_words(recipe) == words


def test_the_largest_values_are_accepted():
    check_options(Recipe(mode="compiled", rank=TOKENS, n_fitted=TOKENS, alpha=LARGEST_ALPHA))
    check_options(Recipe(mode="compiled", rank=1, n_fitted=0, alpha=0.0))


@pytest.mark.parametrize("mode", ["per-step", "frozen", "compiled"])
def test_the_canonical_recipe_keeps_what_means_something_and_drops_the_rest(mode):
    recipe = Recipe(
        mode=mode, carrier="bias", rank=3, ridge=0.1, n_fitted=2, queries=("a",), other_context="x"
    )
    plain = canonical(recipe)
    assert idle(plain) == ()
    assert canonical(plain) == plain
    dropped = idle(recipe)
    names = Recipe.__struct_fields__
    assert all(getattr(plain, name) == getattr(recipe, name) for name in names if name not in dropped)
    assert all(getattr(plain, name) == getattr(Recipe(), name) for name in dropped)


def test_the_metric_means_something_where_a_held_patch_is_solved():
    weighed = {"metric": "ordinary", "epsilon": 0.1, "background": "/a"}
    assert idle(Recipe(**weighed)) == tuple(weighed)
    assert idle(Recipe(mode="frozen", **weighed)) == idle(Recipe(mode="compiled", **weighed)) == ()
    assert idle(Recipe(mode="frozen", epsilon=0.1, background="/a")) == ("epsilon", "background")
    assert idle(Recipe(mode="compiled", carrier="bias", components="shift", **weighed)) == tuple(weighed)
    assert patch_words(Recipe(mode="frozen", **weighed)).endswith("ordinary metric, ε 0.1 of another text")
    assert patch_words(Recipe(mode="frozen", metric="ordinary")).endswith("ordinary metric, ε 0.01")
