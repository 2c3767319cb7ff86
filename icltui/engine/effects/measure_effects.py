"""Patch effects by layer and unit, and their controls.

Enters: a loaded model and a prompt's tokens. Leaves, a chunk of units at a time, KL(full context ‖ patched) of the next
token: where the patch of one layer alone acts on the query without the context, at all of the query's tokens, made of
the context up to the unit; where the patches of all these layers act; and of the context up to the unit itself.

The patch of one layer puts the contextual residual stream in the place of the plain one after that layer's block, at
the query's tokens alone: no later layer sees the context itself. The last layer's patch therefore gives the answer of
the context up to the unit, which is a tautology, as the patches of all layers do.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.messages import EffectsMeasured, MeasureEffects
from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.effects.lone_patches import LonePatches
from icltui.engine.effects.prefix_states import PrefixStates
from icltui.engine.generate.prepare_request import PromptInputs
from icltui.engine.hooks.capture import States
from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids
from icltui.engine.trial.batching import rows_at_once
from icltui.engine.trial.prompt import TrialPrompt
from icltui.engine.trial.row_score import row_kl
from icltui.values import PatchEffects, Path, UnitEffects
from icltui.values.bounds import SEED
from icltui.values.errors import BadInput

MOST_CELLS = 9_999
"""Layers times units of one job."""
N_RANDOM = 8
"""Random patches at each layer."""
Send = Callable[[EffectsMeasured], None]


def measure_effects(
    loaded: LoadedModel,
    prepared: PromptInputs,
    request: MeasureEffects,
    path: Path,
    send: Send = lambda _event: None,
    on_progress: ProgressCallback = ignore_progress,
) -> PatchEffects:
    """The effects of all selected layers and of every unit; the full context comes first, then units from 1 up.

    Raises:
        BadInput: a prompt without a context, or with more layers times units than :data:`MOST_CELLS`.
    """
    start, ids, layers = time.perf_counter(), prepared.ids, tuple(site.layer for site in prepared.sites)
    n_units = len(ids.ends) - 1
    _check_size(len(layers), n_units)
    job = _Job(loaded, prepared, request, path, on_progress)
    units = [n_units, *range(1, n_units)]
    done: list[UnitEffects] = []
    while left := units[len(done) :]:
        # The full context alone, so that there is something to see at once.
        columns = job.columns_as_fit(left[: job.most_rows if done else 1])
        done += columns
        send(EffectsMeasured(layers=layers, plain=job.plain, units=tuple(columns)))
    columns = sorted(done, key=lambda of: of.unit)
    return PatchEffects(
        tokens=prepared.tokens,
        layers=layers,
        units=tuple(columns),
        plain=job.plain,
        random=tuple(job.random()),
        n_random=N_RANDOM,
        noise=_noise(columns) if len(layers) == loaded.n_layers else None,
        seed=request.seed,
        seconds=time.perf_counter() - start,
    )


def _check_size(n_layers: int, n_units: int) -> None:
    if not n_units:
        raise BadInput("there is no context, so there is no patch: write a context")
    if n_layers * n_units > MOST_CELLS:
        raise BadInput(
            f"{n_layers} layers times {n_units} units are {n_layers * n_units} patches to try: at most {MOST_CELLS}; "
            "use larger units, such as sentences, or fewer layers"
        )


def _noise(columns: Sequence[UnitEffects]) -> float | None:
    pairs = [(of.all_layers, of.prefix) for of in columns]
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=None)


class _Job:
    """One prompt's effects, chunk by chunk."""

    def __init__(
        self,
        loaded: LoadedModel,
        prepared: PromptInputs,
        request: MeasureEffects,
        path: Path,
        on_progress: ProgressCallback,
    ) -> None:
        self.loaded, self.sites, self.ids = loaded, prepared.sites, prepared.ids
        self.layers = [site.layer for site in prepared.sites]
        self.positions, self.seed, self.on_progress = request.prompt.positions, request.seed, on_progress
        self.after = PrefixStates(loaded, prepared.sites, self.ids, self.positions, path).after
        self.n_units, self.n_done = len(self.ids.ends) - 1, 0
        self.chunk = 0, 0.0
        """The cells that were done when the present chunk began, and the time."""
        on_progress("running the context")
        self.full, self.full_states = self.after(self.n_units)
        # Each holds what every block gives: those of a chunk, and of what is left over.
        self.rows = lru_cache(maxsize=2)(self._rows)
        self.plain = self._kl(self.rows(1).plain())[0]
        self.most_rows = self._most_rows()

    def _rows(self, n: int) -> LonePatches:
        return LonePatches(self.loaded, self.sites, self.ids, self.positions, n)

    def _most_rows(self) -> int:
        """How many rows may run at once, by two prompts of these lengths."""
        ids, n = self.ids, self.ids.ends[1]
        parts = ids.context[:n], ids.context[-n:]
        pair = [TrialPrompt(Ids(ids.prefix, part, ids.query, (0, n)), (), self.positions) for part in parts]
        group = [(k, pair[min(k, 1)]) for k in range(max(self.n_units, N_RANDOM))]
        return rows_at_once(self.loaded, self.loaded.sites, group)

    def columns_as_fit(self, units: Sequence[int]) -> list[UnitEffects]:
        """The effects of as many of ``units``, from the first on, as the memory suffices for at once."""
        columns, n = run_as_fits(
            partial(self._columns, units), len(units), "patched rows", self.rows.cache_clear
        )
        if n < len(units):
            self.most_rows = n
        return columns

    def _columns(self, units: Sequence[int], n: int) -> list[UnitEffects]:
        """The effects of the first ``n`` of ``units``."""
        units, rows = units[:n], self.rows(n)
        answers, states = zip(*(self._target(unit) for unit in units), strict=True)
        targets, n_before = States.join(states), self.n_done
        self.chunk = n_before, time.perf_counter()
        by_layer = []
        for layer in self.layers:
            self._tell()
            by_layer.append(self._kl(rows.through(targets, [layer])))
            self.n_done += n
        try:
            together = self._kl(rows.through(targets, self.layers))
        finally:
            self.n_done = n_before
        self.n_done += n * len(self.layers)
        return [
            UnitEffects(unit=unit, kl=kl, all_layers=all_layers, prefix=prefix)
            for unit, kl, all_layers, prefix in zip(
                units, zip(*by_layer, strict=True), together, self._kl(torch.stack(answers)), strict=True
            )
        ]

    def _target(self, unit: int) -> tuple[Float[Tensor, " vocabulary"], States]:
        return (self.full, self.full_states) if unit == self.n_units else self.after(unit)

    def random(self) -> Iterator[float | None]:
        """At each layer the median KL of random patches with the norms of the full context's."""
        for k, layer in enumerate(self.layers):
            self.on_progress("random patches", k, len(self.layers))
            seeds = [(self.seed + more) % (SEED + 1) for more in range(N_RANDOM)]
            found: list[float | None] = []
            while left := seeds[len(found) :]:
                n = min(self.most_rows, len(left))
                found += run_as_fits(
                    partial(self._random, layer, left), n, "patched rows", self.rows.cache_clear
                )[0]
            known = torch.tensor([value for value in found if value is not None])
            yield finite_or_none(known.quantile(0.5)) if len(known) else None

    def _random(self, layer: int, seeds: Sequence[int], n: int) -> list[float | None]:
        targets = States.join([self.full_states] * n)
        return self._kl(self.rows(n).through(targets, [layer], seeds[:n]))

    def _kl(self, logits: Float[Tensor, "rows vocabulary"]) -> list[float | None]:
        found = row_kl(self.full.to(logits.device).expand_as(logits), logits)
        return [finite_or_none(value) for value in found]

    def _tell(self) -> None:
        """How many cells there are, and how long the rest will take by those that are done."""
        total, done = len(self.layers) * self.n_units, self.n_done
        before, start = self.chunk
        is_known = before > 0 and done > before  # the first chunk is one row, whose cells take longer
        left = (time.perf_counter() - start) * (total - done) / (done - before) if is_known else 0.0
        stage = f"patching, {left:.0f} s left" if left >= 1 else "patching layer by layer"
        self.on_progress(stage, done, total)
