"""The recipe of a sweep's row, and the patches whose numbers the row holds.

Enters: the parts that are varied. Leaves: the patch as asked for, its components alone, and its controls.
"""

from typing import Literal

from msgspec.structs import replace

from icltui.values.base import Record
from icltui.values.bounds import Seed
from icltui.values.recipe import Components, Recipe
from icltui.values.trial import TrialMode, TrialPatch


class SweepRecipe(Record, frozen=True):
    """How the patch of one row is made."""

    layers: str = "all"
    """The patched layers, as text."""
    mode: TrialMode = "per-step"
    components: Components = "both"
    alpha: float | Literal["search"] = 1.0
    """Strength; search: the best one of each prompt, of its components alone and of its controls too."""
    seed: Seed = 0
    """Seed of the controls, and of the text's sampling."""

    @property
    def alpha_text(self) -> str:
        """The strength as a column of text has it."""
        return self.alpha if isinstance(self.alpha, str) else f"{self.alpha:g}"

    @property
    def recipe(self) -> Recipe:
        """The same for the other commands."""
        return Recipe(mode=self.mode, components=self.components, alpha=self.alpha, seed=self.seed)


def patches_of(recipe: SweepRecipe, layers: tuple[int, ...]) -> dict[str, TrialPatch]:
    """The patches of a row by what its columns are called after ``kl_``."""
    patch = TrialPatch(mode=recipe.mode, components=recipe.components, alpha=recipe.alpha, layers=layers)
    return {
        "patched": patch,
        "weights": replace(patch, components="weights"),
        "shift": replace(patch, components="shift"),
        "random": replace(patch, control="random", seed=recipe.seed),
        "shuffled": replace(patch, control="shuffled", seed=recipe.seed),
    }
