"""Which queries can run as the rows of one batch, and whether padding leaves this model's numbers alone.

A patch that is built for each query apart (frozen, or compiled on the prompt's own) cannot act on all rows. The
effect of padding on the model's numbers is tried on the shortest row of each batch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.forward_pass import can_use_cache, forward, forward_arguments
from icltui.engine.patch.build import BuiltPatch, PatchSpec

Result = TypeVar("Result")
MOST_ROWS, MOST_TOKENS = 32, 16_384
"""The limits of one batch; tokens count their padding."""
TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4}
"""The error of logits after a padded row against the row alone, relative to the largest; other dtypes: 5e-2."""


class PaddingChangesLogits(Exception):
    """The model's logits of a padded row differ from those of the row alone."""


def can_batch(spec: PatchSpec, built: BuiltPatch | None) -> bool:
    """Whether one patch, or one built token by token from the rows' own context, serves every row."""
    if "position_ids" not in forward_arguments(spec.loaded.model) or not can_use_cache(spec.loaded.model):
        return False
    if built is not None and built.patch is None:
        return spec.recipe.control == "none" and not isinstance(spec.recipe.alpha, str)
    return built is None or bool(spec.calibration)


def in_batches(
    specs: Sequence[PatchSpec], n_tokens: int, run: Callable[[Sequence[PatchSpec]], Result]
) -> Iterator[Result]:
    """The result of ``run`` on groups of the specs, in order, each as large as fits."""
    longest = max(len(spec.ids.full) for spec in specs) + n_tokens
    size = max(1, min(MOST_ROWS, MOST_TOKENS // longest))
    while specs:
        result, size = run_as_fits(partial(_run_first, run, specs), min(size, len(specs)), "rows")
        yield result
        specs = specs[size:]


def _run_first(run: Callable[[Sequence[PatchSpec]], Result], specs: Sequence[PatchSpec], n: int) -> Result:
    return run(specs[:n])


def check_padding(specs: Sequence[PatchSpec], logits: Float[Tensor, "rows vocabulary"]) -> None:
    """Compares the contextual ``logits`` of the row with the most padding with those of that row alone.

    Raises:
        PaddingChangesLogits: they differ by more than rounding.
    """
    number = min(range(len(specs)), key=lambda k: len(specs[k].ids.full))
    model = specs[number].loaded.model
    alone = forward(model, specs[number].ids.full).to(logits.device)
    tolerance = TOLERANCES.get(model.dtype, 5e-2) * float(alone.abs().max())
    if not bool((logits[number] - alone).abs().max() <= tolerance):
        raise PaddingChangesLogits
