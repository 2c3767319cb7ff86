"""Patches that act alone: rows of the query without its context, each with a patch of its own at one layer.

Enters: the states that the patches aim at. Leaves: logits after the query. All rows have the same tokens, so that one
run without a patch tells what every block below a patched layer gives, and these blocks need not run again.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States
from icltui.engine.hooks.site import Site
from icltui.engine.measure.forward_pass import position_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.batch import Batch, last_of_rows
from icltui.engine.trial.lower_blocks import LowerBlocks, all_lower_blocks
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.row_patch import RowDifferences, RowTokenPatch
from icltui.values.prompt import Positions

Logits = Float[Tensor, "rows vocabulary"]


@dataclass(frozen=True)
class LonePatches:
    """So many rows of one query, without the context."""

    loaded: LoadedModel
    sites: Sequence[Site]
    ids: Ids
    positions: Positions
    n_rows: int

    def plain(self) -> Logits:
        """Logits without a patch."""
        row, at = self.ids.plain, position_ids(self.ids, (0, len(self.ids.context)), self.positions)
        batch = Batch(self.loaded, self.sites, [TrialPrompt(self.ids, (), self.positions)] * self.n_rows)
        return batch.run([row] * self.n_rows, [at] * self.n_rows, 1)[:, 0]

    def through(self, targets: States, layers: Sequence[int], seeds: Sequence[int] | None = None) -> Logits:
        """Logits where the patches of ``layers`` act, each layer's made where those below it act.

        ``targets`` are of all sites, the query's tokens of one row after those of the other. With a seed for each row
        random vectors with the norms of the patch's replace it.
        """
        q = len(self.ids.query)
        index = {site.layer: k for k, site in enumerate(self.sites)}
        at = [index[layer] for layer in layers]
        patch = RowTokenPatch(
            [self.sites[k] for k in at],
            "both",
            differences=RowDifferences(seeds, q),
            strengths=torch.ones(self.n_rows, dtype=torch.float64),
        )
        z, v = targets.z[at], targets.v[at]
        wanted = States(z, v, v, v.new_zeros(v.shape[:2]), {})
        patch.aim(wanted, last_of_rows(self.n_rows, len(self.ids.plain), q).flatten())
        below = self._below.get(min(layers))
        with nullcontext() if below is None else below.skipped(), attach(patch.sites, patch):
            return self.plain()

    @cached_property
    def _below(self) -> dict[int, LowerBlocks]:
        """What is below each layer, as the run without a patch leaves it; empty where all blocks must run each time."""
        blocks = [site.block for site in self.loaded.sites]
        if len(blocks) < self.loaded.n_layers:
            return {}
        return dict(enumerate(all_lower_blocks(blocks[:-1], self.plain), start=1))
