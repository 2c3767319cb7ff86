"""How a patch is made and how text is drawn: the user's choices, frozen, torch-free.

All that a session stores of a patch is its :class:`Recipe`: on the same model it gives the same patch each time.
Symbols and sources as in ``icltui.engine``.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from icltui.values.bounds import Seed, TokenCount
from icltui.values.errors import BadInput

Mode = Literal["per-step", "frozen", "compiled"]
"""A new patch for every token; that of the query's last token, held; one patch for many tokens at once, held."""
Components = Literal["both", "weights", "shift"]
"""Which parts of the patch act: ΔW and Δb, ΔW alone, Δb alone."""
Carrier = Literal["output", "bias"]
"""What holds the shift: a patch of the down projection, ``out += δ (g·g_C)/‖g_C‖²``; or a constant for every token.

Both equal δ at the token that they were made for, and nowhere else. The constant is known to end in repetition.
"""
Control = Literal["none", "random", "shuffled", "other"]
"""What replaces the context's own patch: random directions of equal norms; the shuffled, or another, context's."""
AlphaSearch = Literal["search", "jvp"]
"""A strength found by line search, or in closed form to first order, on the logits after the query."""

Weighing = Literal["plain", "ordinary"]
"""What a solved patch is least in: its norm; or its effect on ordinary text, tr(ΔW C ΔWᵀ)."""

LARGEST_ALPHA = 2.0
LARGEST_EPSILON = 1e3
"""At which C is the identity to a thousandth: a larger one is the plain metric."""


_STRENGTH = r" *[0-9]{1,4} *= *([01](\.[0-9]{0,8})?|\.[0-9]{1,8}|2(\.0{0,8})?) *"
_STRENGTHS = rf"^({_STRENGTH}(,{_STRENGTH})*)?$"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a patch is made. What does not concern ``mode`` is not looked at: see :func:`idle`."""

    mode: Mode = "per-step"
    components: Components = "both"
    carrier: Carrier = "output"
    """What carries the shift of a frozen or compiled patch."""
    alpha: float | AlphaSearch = 1.0
    """Strength, 0 to 2: what the patch adds is multiplied by it; 1 is the patch itself, 0 none."""
    layer_alphas: Annotated[str, msgspec.Meta(pattern=_STRENGTHS)] = ""
    """Strengths of single layers, which ``alpha`` multiplies, as :func:`strengths_of` reads them; empty: each 1."""
    n_fitted: TokenCount = 8
    """Compiled: how many tokens of the contextual continuation are fitted, besides the query's own."""
    rank: TokenCount | None = None
    """Compiled: the rank that the patch is cut to, by SVD; None: as many as tokens are fitted."""
    ridge: float = 0.0
    """Compiled: ρ in ``K = ZᵀZ + ρI``, as a share of the mean of ZᵀZ's diagonal; with a metric, of ZᵀC⁻¹Z's."""
    metric: Weighing = "plain"
    """Held: what the patch is least in, among all that fit its tokens."""
    epsilon: float = 0.01
    """Ordinary metric: ε in ``C = E[z zᵀ] + ε (tr E[z zᵀ]/d) I``."""
    background: str = ""
    """Ordinary metric: the file of a text that is ordinary; empty: the model's own, else the program's."""
    cross_fit: bool = False
    """Compiled on several queries: whether each is fitted a second time, as the patch made without it leaves it."""
    queries: tuple[str, ...] = ()
    """Compiled: the queries that the patch is fitted on; empty: the prompt's own."""
    control: Control = "none"
    other_context: str = ""
    """The context of the control ``other``."""
    seed: Seed = 0
    """Seed of the controls ``random`` and ``shuffled``."""


COMPILED = Recipe(mode="compiled", metric="ordinary", epsilon=0.001, ridge=3.0, rank=8, cross_fit=True)
"""Where *compile* begins to choose."""
CHOSEN = ("metric", "epsilon", "ridge", "components", "alpha", "rank", "cross_fit")
"""Fields of the recipe that *compile* chooses unless they are given."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are drawn. All lanes share one noise per step, so they differ only where their distributions do."""

    temperature: float = 0.0
    """0: the most probable token each time."""
    top_k: TokenCount | None = None
    """Only so many of the most probable tokens may be drawn."""
    top_p: float = 1.0
    """Only the most probable tokens that together reach this probability may be drawn."""
    seed: Seed = 0
    """Seed of the noise that tokens are drawn with."""


def strengths_of(text: str) -> dict[int, float]:
    """The strengths of layers, by layer.

    >>> strengths_of("3=0.5, 7=0")
    {3: 0.5, 7: 0.0}

    Raises:
        BadInput: it is no such list, or a strength is out of range.
    """
    if not re.fullmatch(_STRENGTHS, text):
        need = f"give LAYER=STRENGTH, such as 3=0.5,7=0, with strengths of 0 to {LARGEST_ALPHA:g}"
        raise BadInput(f"{text[:60]!r} is no list of strengths by layer: {need}")
    parts = (part.partition("=") for part in text.split(",") if part.strip())
    return {int(layer): float(alpha) for layer, _, alpha in parts}


def strengths_text(strengths: Mapping[int, float]) -> str:
    """The text that :func:`strengths_of` reads; a strength of 1 is left out.

    >>> strengths_text({7: 0.0, 3: 0.5, 1: 1.0})
    '3=0.5,7=0'
    >>> strengths_text({3: 0.00001, 7: 0.1234567})
    '3=0.00001,7=0.1234567'
    """
    return ",".join(f"{layer}={_digits(alpha)}" for layer, alpha in sorted(strengths.items()) if alpha != 1)


def _digits(alpha: float) -> str:
    """As many decimals as the list may have, never in powers of ten, which it cannot hold."""
    return f"{alpha:.8f}".rstrip("0").rstrip(".")


def stepped(alpha: float, step: float) -> float:
    """``alpha`` changed by ``step``, to the hundredth and within its bounds.

    >>> stepped(0.9837, 0.05), stepped(0.004, -0.005), stepped(1.8, 0.5)
    (1.03, 0.0, 2.0)
    """
    return min(max(0.0, round(alpha + step, 2)), LARGEST_ALPHA)


def idle(recipe: Recipe) -> tuple[str, ...]:
    """Names of the fields that were changed and mean nothing beside the others."""
    usual = Recipe()
    weighing = ("metric", "epsilon", "background")
    held, compiled = ("carrier", *weighing), ("n_fitted", "rank", "ridge", "queries", "cross_fit")
    names: tuple[str, ...] = {"per-step": (*held, *compiled), "frozen": compiled, "compiled": ()}[recipe.mode]
    if recipe.components == "weights":
        names = (*names, "carrier")
    if (
        recipe.components == "shift" and recipe.carrier == "bias"
    ):  # a constant is a mean, and nothing is solved
        names = (*names, "rank", "ridge", *weighing)
    if recipe.metric == "plain":
        names = (*names, "epsilon", "background")
    if len(recipe.queries) < 2:  # nothing is left where one is left out
        names = (*names, "cross_fit")
    if recipe.control != "other":
        names = (*names, "other_context")
    return tuple(dict.fromkeys(name for name in names if getattr(recipe, name) != getattr(usual, name)))


def canonical(recipe: Recipe) -> Recipe:
    """The recipe without what means nothing in its mode: equal ones make equal patches."""
    usual = Recipe()
    return msgspec.structs.replace(recipe, **{name: getattr(usual, name) for name in idle(recipe)})


def patch_words(recipe: Recipe) -> str:
    """The recipe in a few words: ``compiled on the query and 8 tokens after it, ΔW and Δb, α 0.5``."""
    parts = {"both": "ΔW and Δb", "weights": "ΔW alone", "shift": "Δb alone"}
    words = [recipe.mode, parts[recipe.components]]
    if recipe.mode == "compiled":
        on, whom = "the query", "it"
        if n := len(recipe.queries):
            on, whom = ("1 query", "it") if n == 1 else (f"{n} queries", "each")
        words[0] += f" on {on}"
        if recipe.n_fitted:
            words[0] += f" and {recipe.n_fitted} token{'s' if recipe.n_fitted > 1 else ''} after {whom}"
        words += ["cross-fitted"] if recipe.cross_fit and n > 1 else []
        words += [f"rank {recipe.rank}"] if recipe.rank else []
        words += [f"ridge {recipe.ridge:g}"] if recipe.ridge else []
    if recipe.mode != "per-step" and recipe.carrier == "bias" and recipe.components != "weights":
        words.append("the shift as a constant")
    if recipe.mode != "per-step" and recipe.metric == "ordinary":
        words.append(
            f"ordinary metric, ε {recipe.epsilon:g}{' of another text' if recipe.background else ''}"
        )
    if recipe.alpha != 1.0:
        words.append(f"α {recipe.alpha}" if isinstance(recipe.alpha, str) else f"α {recipe.alpha:g}")
    if recipe.layer_alphas:
        words.append(f"α by layer {recipe.layer_alphas}")
    if recipe.control != "none":
        words.append(f"control: {recipe.control}")
    return ", ".join(words)
