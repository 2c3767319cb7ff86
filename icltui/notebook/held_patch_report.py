"""What a patch that stays in a model is worth, as plain values and as sentences and tables."""

from rich.console import RenderableType

from icltui.report.patch import patch_parts
from icltui.report.verify import logit_table
from icltui.text.tables import number, render
from icltui.values import Generation, LogitError, PatchReport, Record
from icltui.values.recipe import Recipe


class HeldPatchReport(Record, frozen=True):
    """A patch that stays in a model, beside what it would be of nothing."""

    recipe: Recipe
    layers: tuple[int, ...]
    """The patched layers, ascending."""
    patch: PatchReport
    """How it fits, and what it does on tokens that it was not made from."""
    logits: dict[str, LogitError]
    """``plain`` and ``patched``: logits after the query, against those with the context."""
    controls: dict[str, LogitError]
    """The same through patches made the same way: ``random`` ones of equal norms, and the ``shuffled`` context's."""
    noise_floor: float
    """L∞ of contextual runs through kernels of other lengths, in logits: the median of several."""

    @property
    def parts(self) -> list[RenderableType]:
        """The report as sentences and tables, each table after its title."""
        controls = [(f"control: {name}", error) for name, error in self.controls.items()]
        return [
            "Logits after the query, against those with the context",
            logit_table([*self.logits.items(), *controls]),
            f"noise floor {number(self.noise_floor)} (logits, L∞)",
            *patch_parts(
                Generation(
                    lanes={}, agreement={}, fit={}, recipe=self.recipe, layers=self.layers, patch=self.patch
                )
            ),
        ]

    def __str__(self) -> str:
        return render(self.parts, 110)
