"""The exactness study: whether every layer under ΔW and Δb gives what the context gives, with the usual criteria.

Enters: prompts of each template. Leaves: for each prompt one :class:`ExactnessRow` of each layer and one of the whole
model. The criteria are those of a published design for Qwen3: cosine > 0.99 and mean squared error < 0.001 of the mean
square between the block's outputs, and one significant singular value of ΔW.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from icltui.api.messages import VerificationEnded, Verify
from icltui.engine.local import LocalEngine
from icltui.studies.exactness_summary import summarise_exactness
from icltui.studies.study import StudyBase, StudyRow, rows_of_each
from icltui.studies.templated_prompts import PromptItem, prompt_items
from icltui.values import LayerCheck, LogitError, ModelInfo, Verification
from icltui.values.bounds import SEED
from icltui.values.prompt import Prompt
from icltui.values.results import Summary


class ExactnessRow(StudyRow, frozen=True):
    """One layer of one prompt, or the whole model where ``layer`` is None."""

    context: str = ""
    query: str = ""
    layer: int | None = None
    cosine: float | None = None
    """Of the block's outputs, patched and contextual."""
    nmse: float | None = None
    """Their mean squared error over the mean square."""
    rank: int | None = None
    """Significant singular values of ΔW."""
    identity_error: float | None = None
    """‖(W+ΔW)z − W z_C‖ / ‖W z_C‖."""
    block_error: float | None = None
    """‖O_patched − O_context‖ / ‖O_context‖."""
    block_floor: float | None = None
    """What rounding makes of that error in right runs."""
    block_effect: float | None = None
    """That error without a patch: the context's own effect."""
    plain_linf: float | None = None
    """L∞ of the next token's logits against the contextual ones: without a patch; of the whole model's row alone, as
    the rest."""
    weights_linf: float | None = None
    shift_linf: float | None = None
    patched_linf: float | None = None
    random_linf: float | None = None
    shuffled_linf: float | None = None
    patched_kl: float | None = None
    """KL in nats."""
    plain_kl: float | None = None
    random_kl: float | None = None
    shuffled_kl: float | None = None
    noise_floor: float | None = None
    """L∞ of right runs through other kernels."""
    ok: bool | None = None
    """Whether *verify* says yes."""
    caveat: str = ""


@dataclass(frozen=True)
class Exactness(StudyBase):
    """See the module."""

    kind: ClassVar[str] = "exactness"
    usual_n: ClassVar[int] = 8
    row_type: ClassVar[type[ExactnessRow]] = ExactnessRow
    shows_not: ClassVar[tuple[str, ...]] = (
        "The identity W z_C = (W + ΔW) z and the rank 1 of ΔW = (W δz) zᵀ/‖z‖² hold for any vectors, of a random model "
        "too: small errors prove that the hooks are in the right places, not that the model learns in context.",
        "Each layer is handed what the exact patches below it give, so that its output is the contextual one by "
        "construction; what is no tautology is how far ΔW or Δb alone, the random patch and the shuffled context miss.",
        "The patch is made for the token that it is tried on. What it is worth on others is the question of the "
        "steering study and of the exam.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, PromptItem]]:  # noqa: ARG002
        """The prompts.

        Raises:
            BadInput: more than can be made.
        """
        return prompt_items(self, model)

    def run(
        self,
        engine: LocalEngine,
        model: ModelInfo,
        items: Sequence[tuple[str, PromptItem]],
    ) -> Iterator[Sequence[ExactnessRow]]:
        """A verification of each prompt."""
        return rows_of_each(ExactnessRow, model, items, lambda item: self._verified(engine, item))

    def _verified(self, engine: LocalEngine, item: PromptItem) -> list[ExactnessRow]:
        prompt = Prompt(context=item.prompt.context, query=item.prompt.query)
        events = engine.run(
            Verify(prompt=prompt, seed=(self.settings.seed + item.number) % (SEED + 1)), _never
        )
        (made,) = [event.verification for event in events if isinstance(event, VerificationEnded)]
        return [_whole(item, made), *(_layer(item, check) for check in made.layers)]

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """How many layers meet each criterion, and how far the controls are from it."""
        return self.summary(rows, *summarise_exactness(rows))


def _never() -> bool:
    return False


def _whole(item: PromptItem, made: Verification) -> ExactnessRow:
    errors: dict[str, LogitError] = {**made.logits, **made.controls}
    return ExactnessRow(
        key="",
        number=item.number,
        context=item.prompt.context,
        query=item.prompt.query,
        plain_linf=errors["plain"].linf,
        weights_linf=errors["weights"].linf,
        shift_linf=errors["shift"].linf,
        patched_linf=errors["patched"].linf,
        random_linf=errors["random"].linf,
        shuffled_linf=errors["shuffled"].linf,
        patched_kl=errors["patched"].kl,
        plain_kl=errors["plain"].kl,
        random_kl=errors["random"].kl,
        shuffled_kl=errors["shuffled"].kl,
        noise_floor=made.noise_floor,
        ok=made.ok,
        caveat=made.caveat,
    )


def _layer(item: PromptItem, check: LayerCheck) -> ExactnessRow:
    limits = check.limits["block"]
    return ExactnessRow(
        key="",
        number=item.number,
        context=item.prompt.context,
        query=item.prompt.query,
        layer=check.layer,
        cosine=check.cosine,
        nmse=check.nmse,
        rank=check.rank,
        identity_error=check.identity_error,
        block_error=check.block_error,
        block_floor=limits.floor,
        block_effect=limits.effect,
    )
