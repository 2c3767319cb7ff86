"""What rounding makes of right runs of many prompts: the contextual rows again, through kernels of another length.

Enters: a batch. Leaves: a noise floor for each row. As in :mod:`icltui.engine.verify.noise_floor`, each block is handed
what entered it in the contextual run, here at the tokens that patches reach: else the errors of all layers add up.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.site import SiteHook
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.trial.batch import Batch, last_of_rows

N_MORE = (7, 1, 3)
"""Numbers of tokens after the rows, one for each run."""


@dataclass
class LastStreams(SiteHook):
    """What enters each block at some tokens of all rows: kept in the first pass, handed to the blocks of later ones."""

    at: Int[Tensor, " targets"]
    n_tokens: int
    """The tokens of a pass; a model of several streams shows more, and is left as it is."""
    seen: dict[int, Tensor] = field(default_factory=dict)

    def block_input(
        self, layer: int, r: Float[Tensor, "tokens hidden"]
    ) -> Float[Tensor, "tokens hidden"] | None:
        if len(r) != self.n_tokens:
            return None
        at = self.at.to(r.device)
        if layer not in self.seen:
            self.seen[layer] = r[at].clone()
            return None
        given = r.clone()
        given[at] = self.seen[layer]
        return given


def noise_floors(batch: Batch, n_runs: int) -> list[float | None]:
    """L∞ of each row's logits at the query's last token, the median of ``n_runs``; None where no longer row fits."""
    window = batch.loaded.window
    rows = [[*one.ids.full, *one.forced] for one in batch.prompts]
    length = len(rows[0])
    rooms = [more for more in N_MORE[:n_runs] if window is None or length + more <= window]
    if not rooms:
        return [None] * batch.n_rows
    streams = LastStreams(torch.empty(0, dtype=torch.long), 0)
    wanted = _run(batch, streams, rows, 0)
    runs = [_run(batch, streams, rows, room) for room in rooms]
    errors = torch.stack([(got - wanted).abs().amax(-1) for got in runs])
    return [finite_or_none(error) for error in errors.quantile(0.5, dim=0)]


def _run(
    batch: Batch, streams: LastStreams, rows: list[list[int]], room: int
) -> Float[Tensor, "rows vocabulary"]:
    """Logits after the query's last token of rows with ``room`` tokens more."""
    longer = [[*row, *row[-1:] * room] for row in rows]
    streams.at = last_of_rows(batch.n_rows, len(longer[0]), batch.n_targets, room).flatten()
    streams.n_tokens = batch.n_rows * len(longer[0])
    with attach(batch.sites, streams):
        return batch.run(longer, [range(len(row)) for row in longer], 1 + batch.n_forced + room)[:, 0]
