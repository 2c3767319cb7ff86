"""How many prompts run at once: those of equal shape, as many as fit, or one where a model's numbers depend on it.

Enters: prompts in any order. Leaves: groups of them, and how many rows a pass may have.
"""

from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from icltui.engine.generate.batching_check import TOLERANCES
from icltui.engine.hooks.site import Site
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.trial.batch import Batch
from icltui.engine.trial.prompt import TrialPrompt
from icltui.values.errors import IcltuiError
from icltui.values.trial import TrialPatch

MOST_ROWS, MOST_TOKENS = 256, 8192
"""The limits of one pass."""
MOST_LOGITS = 2**23
"""Numbers of one run's logits."""
MOST_STATES = 2**26
"""Numbers of z and v that are kept, over all layers."""
_IS_ALIKE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
"""Whether rows side by side have the numbers of a row alone, by model."""

Numbered = tuple[int, TrialPrompt]


def groups_of_equal_shape(prompts: Sequence[TrialPrompt]) -> Iterator[list[Numbered]]:
    """The prompts with their indices, those of one shape together, shapes in the order in which they appear."""
    groups: dict[object, list[Numbered]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(prompt.shape, []).append((index, prompt))
    yield from groups.values()


def rows_at_once(loaded: LoadedModel, sites: Sequence[Site], group: Sequence[Numbered]) -> int:
    """How many prompts of the group may run at once."""
    first, last = group[0][1], group[-1][1]
    if len(group) == 1 or not _is_alike(loaded, sites, [first, last]):
        return 1
    n_tokens, n_targets = len(first.ids.full) + len(first.forced), len(first.ids.query) + len(first.forced)
    width = int(loaded.model.get_input_embeddings().weight.shape[1])
    limits = (
        MOST_ROWS,
        MOST_TOKENS // n_tokens,
        MOST_LOGITS // (_vocabulary(loaded) * (1 + len(first.forced))),
        MOST_STATES // (2 * len(sites) * n_targets * width),
    )
    return max(1, min(len(group), *limits))


def _vocabulary(loaded: LoadedModel) -> int:
    head = loaded.model.get_output_embeddings()
    return int((loaded.model.get_input_embeddings() if head is None else head).weight.shape[0])


def _is_alike(loaded: LoadedModel, sites: Sequence[Site], prompts: Sequence[TrialPrompt]) -> bool:
    if loaded.model not in _IS_ALIKE:
        try:
            _IS_ALIKE[loaded.model] = _compare(loaded, sites, prompts)
        except (IcltuiError, RuntimeError, IndexError):
            # A model that shows its hooks other shapes than rows of tokens; what else fails, fails on one row too.
            return False
    return _IS_ALIKE[loaded.model]


def _compare(loaded: LoadedModel, sites: Sequence[Site], prompts: Sequence[TrialPrompt]) -> bool:
    """Whether the last prompt has the same states and logits, patched too, beside another one as alone."""
    both, alone = Batch(loaded, sites, prompts), Batch(loaded, sites, prompts[-1:])
    states, own = both.contextual[1].targets(sites).z, alone.contextual[1].targets(sites).z
    patch = TrialPatch()
    pairs = (
        (both.contextual[0][-1], alone.contextual[0][0]),
        (both.plain[0][-1], alone.plain[0][0]),
        (both.patched(patch).logits[-1], alone.patched(patch).logits[0]),
        (states[:, -own.shape[1] :], own),
    )
    tolerance = TOLERANCES.get(loaded.model.dtype, 5e-2)
    return all(_are_close(ours, theirs, tolerance) for ours, theirs in pairs)


def _are_close(ours: Float[Tensor, "*shape"], theirs: Float[Tensor, "*shape"], tolerance: float) -> bool:
    largest = float(theirs.abs().max())
    return bool((ours - theirs.to(ours.device)).abs().max() <= tolerance * max(largest, torch.finfo().tiny))
