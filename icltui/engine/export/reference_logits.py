"""A patch's logits, kept to compare an export with them.

Enters: a built patch. Leaves: :class:`ReferenceLogits`, logits in main memory that keep no model, and the distance
allowed from them. It is larger in half precision: W z + B A z is rounded at other points than
W (z + write (read·z)), and the effect on the logits depends on the model. So it is measured: the patch's factors
are jittered by half a unit in the last digit of the model's dtype.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.measure.forward_pass import forward
from icltui.engine.patch.alpha_search import patched_logits
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.calibration import Passage, logits_without_context
from icltui.engine.patch.exactness_at_load import tolerance_of
from icltui.engine.patch.low_rank_map import LowRank
from icltui.engine.patch.patch import HeldPatch, LayerPatch
from icltui.values.errors import BadInput, EngineError

_N_JITTERS, _ALLOWED = 3, 3.0
"""Number of jitters of the factors, and the multiple of their largest effect that is allowed."""
_HIDDEN = 0.3
"""Share of the patch's effect that rounding may hide: a wrong factor at one layer still shows."""


class ReferenceRow(NamedTuple):
    """A row without the context, and the number of its last tokens that are compared."""

    ids: list[int]
    position_ids: list[int]
    n_tokens: int


@dataclass(frozen=True)
class ReferenceLogits:
    """A patch's logits on the prompt, then on every other fitted passage, laid end to end."""

    rows: tuple[ReferenceRow, ...]
    patched: Float[Tensor, "tokens vocabulary"]
    """Logits after each query's last token and each token of its continuation, through the patch."""
    bare: Float[Tensor, "tokens vocabulary"]
    """Logits of the tokens of ``patched`` without a patch."""
    tolerance: float
    """The error allowed, as a share of the largest of the patched logits."""

    @property
    def scale(self) -> float:
        """The largest of the patched logits in magnitude."""
        return float(self.patched.abs().max())

    @property
    def effect(self) -> float:
        """L∞ of the patched logits against those without a patch."""
        return self.distance(self.bare)

    def distance(self, logits: Float[Tensor, "tokens vocabulary"]) -> float:
        """L∞ of ``logits`` against the patched ones."""
        return float((logits - self.patched).abs().max())

    def run(self, model: Any) -> Float[Tensor, "tokens vocabulary"]:
        """The logits of ``model`` at the tokens of ``patched``."""
        logits = []
        for row in self.rows:
            keep = torch.arange(len(row.ids) - row.n_tokens, len(row.ids))
            logits.append(forward(model, row.ids, position_ids=row.position_ids, logits_to_keep=keep).cpu())
        return torch.cat(logits)

    def check(self, logits: Float[Tensor, "tokens vocabulary"], whose: str) -> float:
        """The :meth:`distance` of ``logits``.

        Raises:
            EngineError: it exceeds the tolerance.
        """
        distance = self.distance(logits)
        if not distance <= self.tolerance * self.scale:
            raise EngineError(
                f"{whose} miss the patch's by {distance:.2g}, the largest being {self.scale:.2g} (allowed: "
                f"{self.tolerance:.1e} of it): nothing was kept"
            )
        return distance


def reference_logits(built: BuiltPatch) -> ReferenceLogits:
    """The patch's logits, with the tolerance around them.

    Raises:
        BadInput: rounding hides too much of the patch's effect for a proof.
    """
    loaded, own = built.spec.loaded, built.own
    passages = (own, *(part.passage for part in built.fitted if part.passage is not own))
    exact = ReferenceLogits(
        tuple(ReferenceRow(p.plain, p.position_ids, len(p.logits)) for p in passages),
        patched=_patched(built, passages),
        bare=torch.cat([logits_without_context(loaded, passage).cpu() for passage in passages]),
        tolerance=tolerance_of(loaded),
    )
    noise = max(exact.distance(_patched(jittered, passages)) for jittered in _jittered(built))
    if _ALLOWED * noise > max(_HIDDEN * exact.effect, exact.tolerance * exact.scale):
        dtype = str(loaded.dtype).removeprefix("torch.")
        raise BadInput(
            f"rounding in {dtype} alone moves this patch's logits by {noise:.2g} of the {exact.effect:.2g} that it "
            "does, so nothing shows whether what is written is right: generate it with --dtype float32, or a larger "
            "--ridge"
        )
    return replace(exact, tolerance=max(exact.tolerance, _ALLOWED * noise / exact.scale)) if noise else exact


def _patched(built: BuiltPatch, passages: Sequence[Passage]) -> Float[Tensor, "tokens vocabulary"]:
    return torch.cat([patched_logits(built, passage).cpu() for passage in passages])


def _jittered(built: BuiltPatch) -> Iterator[BuiltPatch]:
    """The patch with its factors rounded up or down at random."""
    assert built.patch is not None
    unit = torch.finfo(built.spec.loaded.dtype).eps / 2
    for number in range(_N_JITTERS):
        noise = torch.Generator().manual_seed(number)
        yield replace(built, patch=_jitter(built.patch, unit, noise))


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
