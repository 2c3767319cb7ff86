"""What a patch says, kept to hold against it what left the program.

Enters: a built patch. Leaves: :class:`ReferenceLogits`, logits in the main memory that keep no model, and how far
others may be from them. In half precision that is more than elsewhere: W z + B A z is rounded in other places than
W (z + write (read·z)), and what that does to the logits depends on the model. So it is measured: the patch's factors
are jittered by half a unit in the last place of the model's dtype.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.measure.forward import forward
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.load_check import tolerance_of
from icltui.engine.patch.lowrank import LowRank
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values.errors import BadInput, EngineError

_N_JITTERS, _ALLOWED = 3, 3.0
"""How often the factors are jittered, and how many times the largest effect of it is allowed."""
_HIDDEN = 0.3
"""Share of the patch's effect that rounding may hide: a wrong factor at one layer would show still."""


@dataclass(frozen=True)
class ReferenceRow:
    """What a patch says of one row."""

    row: tuple[int, ...]
    places: tuple[int, ...]
    patched: Float[Tensor, "tokens vocabulary"]
    """Logits behind the query's last token and each of the continuation, through the patch."""
    bare: Float[Tensor, "tokens vocabulary"]
    """The same without."""

    def run(self, model: Any) -> Float[Tensor, "tokens vocabulary"]:
        """What ``model`` says there."""
        keep = torch.arange(len(self.row) - len(self.patched), len(self.row))
        return forward(model, self.row, position_ids=self.places, logits_to_keep=keep).cpu()


@dataclass(frozen=True)
class ReferenceLogits:
    """What it says of the prompt, and of every other passage that it was fitted on."""

    rows: tuple[ReferenceRow, ...]
    tolerance: float
    """How far logits may be from the patched ones, as a share of the largest of these."""

    @property
    def n_tokens(self) -> int:
        return sum(len(one.patched) for one in self.rows)

    @property
    def scale(self) -> float:
        """The largest of the patched logits in magnitude."""
        return max(float(one.patched.abs().max()) for one in self.rows)

    @property
    def effect(self) -> float:
        """L∞ of the patched logits against those without a patch."""
        return self.largest([one.bare for one in self.rows])

    def run(self, model: Any) -> list[Tensor]:
        """What ``model`` says of each row."""
        return [one.run(model) for one in self.rows]

    def difference(self, logits: Sequence[Tensor], whose: str) -> float:
        """L∞ between ``logits`` and the patched ones.

        Raises:
            EngineError: it is more than is allowed.
        """
        difference = self.largest(logits)
        if not difference <= self.tolerance * self.scale:
            raise EngineError(
                f"{whose} miss the patch's by {difference:.2g}, the largest being {self.scale:.2g} (allowed: "
                f"{self.tolerance:.1e} of it): nothing was kept"
            )
        return difference

    def largest(self, logits: Sequence[Tensor]) -> float:
        """The same, whatever it is."""
        pairs = zip(logits, self.rows, strict=True)
        return max(float((got - one.patched).abs().max()) for got, one in pairs)


def reference_logits(built: BuiltPatch) -> ReferenceLogits:
    """What the patch says, and how far from it is near enough.

    Raises:
        BadInput: rounding hides too much of what the patch does for anything to be proved.
    """
    others = (part.passage for part in built.fitted if part.passage is not built.own)
    passages = (built.own, *others)
    exact = ReferenceLogits(
        tuple(_reference(built, passage) for passage in passages), tolerance_of(built.spec.loaded)
    )
    noise = max(exact.largest(logits) for logits in _jittered(built, passages))
    if _ALLOWED * noise > max(_HIDDEN * exact.effect, exact.tolerance * exact.scale):
        dtype = str(built.spec.loaded.dtype).removeprefix("torch.")
        raise BadInput(
            f"rounding in {dtype} alone moves this patch's logits by {noise:.2g} of the {exact.effect:.2g} that it "
            "does, so nothing shows whether what is written is right: generate it with --dtype float32, or a larger "
            "--ridge"
        )
    return replace(exact, tolerance=max(exact.tolerance, _ALLOWED * noise / exact.scale)) if noise else exact


def _reference(built: BuiltPatch, passage: Passage) -> ReferenceRow:
    return ReferenceRow(
        tuple(passage.plain),
        tuple(passage.position_ids),
        patched=patched_logits(built, passage).cpu(),
        bare=logits_without_context(built.spec.loaded, passage).cpu(),
    )


def _jittered(built: BuiltPatch, passages: Sequence[Passage]) -> list[list[Tensor]]:
    """The passages' logits through the patch, its factors rounded this way and that."""
    assert built.patch is not None
    unit = torch.finfo(built.spec.loaded.dtype).eps / 2
    said = []
    for number in range(_N_JITTERS):
        noise = torch.Generator().manual_seed(number)
        jittered = replace(built, patch=_jitter(built.patch, unit, noise))
        said.append([patched_logits(jittered, passage).cpu() for passage in passages])
    return said


def _jitter(patch: HeldPatch, unit: float, noise: torch.Generator) -> HeldPatch:
    def moved(tensor: Tensor) -> Tensor:
        return tensor * (1 + unit * torch.randn(tensor.shape, generator=noise).to(tensor))

    def map_(held: LowRank | None) -> LowRank | None:
        return None if held is None else LowRank(held.read, moved(held.write))

    layers = {
        layer: LayerPatch(
            map_(held.weights), map_(held.output), None if held.bias is None else moved(held.bias)
        )
        for layer, held in patch.layers.items()
    }
    return HeldPatch(patch.sites, layers)
