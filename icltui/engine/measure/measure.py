"""The rows and predictions of each unit of the context, as one step in weight space.

Enters: chunks of copies from :func:`icltui.engine.measure.run_prefixes.measure_prefixes`. Leaves: rows in ascending
order of units with the predictions beside them, a chunk at a time. A prediction that comes before its distance to the
full context is known comes again after it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.out_of_memory import run_as_fits
from icltui.engine.hooks.site import Site
from icltui.engine.measure.layer_rows import LayerRows, UnreadRows, read_rows
from icltui.engine.measure.predictions import Vocabulary, predict
from icltui.engine.measure.run_prefixes import Plan, PrefixChunk
from icltui.engine.measure.unit_similarity import compare_units
from icltui.values import Pairs, Prediction, Row

Measured = tuple[list[Row], list[Prediction]]


@dataclass
class Measurer:
    """The state of one measure while its chunks come in."""

    sites: Sequence[Site]
    plan: Plan
    vocabulary: Vocabulary
    keeps_pairs: bool = False
    rounding: Mapping[int, float] = field(default_factory=dict)
    """The error of z relative to ‖z‖ in half precision, by layer."""
    layers: list[LayerRows] = field(default_factory=list)
    full: Float[Tensor, " vocabulary"] | None = None
    """Log-probabilities after the full context."""
    last: PrefixChunk | None = None
    """The full context's copy, which arrives before its turn."""
    early: list[PrefixChunk] = field(default_factory=list)
    """Chunks whose predictions were sent before the full context was known."""

    def measure(self, chunks: Iterable[PrefixChunk]) -> Iterator[Measured]:
        """The rows and predictions of all units."""
        for chunk in chunks:
            yield from self._take_as_fits(self._set_aside(chunk))
            del chunk  # its tensors are freed before the next chunk's are made
        if self.last is not None:
            yield from self._take_as_fits(self.last)

    def pairs(self) -> tuple[Pairs, ...]:
        """Every unit against every other, at each layer; empty unless ``keeps_pairs``."""
        return tuple(compare_units(layer.site.layer, layer.kept) for layer in self.layers if layer.kept)

    def _set_aside(self, chunk: PrefixChunk) -> PrefixChunk:
        """The chunk without the full context's copy, where that arrives before its turn."""
        full = self.plan.full
        if full not in chunk.units:
            return chunk
        k = chunk.units.index(full)
        copy = chunk.at(slice(k, k + 1))
        if copy.logits is not None:
            self.full = copy.logits[0].log_softmax(-1)
        self._start(copy)
        if k > 0 or full == 0:  # the copy arrives in its turn
            return chunk
        self.last = copy.clone()
        return chunk.at(slice(1, None))

    def _start(self, chunk: PrefixChunk) -> None:
        """Set up the layers once it is known which experts act: those of the full context's token."""
        if self.layers:
            return
        for site in self.sites:
            chosen = chunk.experts.get(site.layer)
            experts = None if chosen is None else sorted(set(chosen[0].tolist()))
            rounding = self.rounding.get(site.layer, 0.0)
            self.layers.append(LayerRows(site, self.plan.dynamics, experts, self.keeps_pairs, rounding))

    def _take_as_fits(self, chunk: PrefixChunk) -> Iterator[Measured]:
        """:meth:`_take` of the whole chunk, or of smaller parts of it where the memory does not suffice."""
        size = len(chunk.units)
        while True:
            undo = partial(self._restore, [copy(layer) for layer in self.layers], [*self.early])
            take = partial(self._take_first, chunk)
            measured, size = run_as_fits(take, min(size, len(chunk.units)), "units", undo)
            yield measured
            if size >= len(chunk.units):
                return
            chunk = chunk.at(slice(size, None))

    def _take_first(self, chunk: PrefixChunk, n: int) -> Measured:
        return self._take(chunk.at(slice(n)))

    def _restore(self, layers: list[LayerRows], early: list[PrefixChunk]) -> None:
        self.layers, self.early = [copy(layer) for layer in layers], [*early]

    def _take(self, chunk: PrefixChunk) -> Measured:
        self._start(chunk)
        unread: list[UnreadRows] = []
        for k, layer in enumerate(self.layers if chunk.units else ()):
            known = chunk.images.get(layer.site.layer, {})
            unread += layer.take(chunk.units, chunk.z[:, k], chunk.v[:, k], chunk.g_norm[:, k], known)
        by_layer, n_units = read_rows(unread), len(chunk.units)
        rows = [row for k in range(n_units) for row in by_layer[k::n_units]]
        return rows, self._predictions(chunk)

    def _predictions(self, chunk: PrefixChunk) -> list[Prediction]:
        again: list[PrefixChunk] = []
        if self.full is not None:
            again, self.early = self.early, []
        elif chunk.logits is not None:
            self.early.append(chunk)
        known = [c for c in (*again, chunk) if c.logits is not None and c.units]
        return [
            prediction
            for c in known
            if c.logits is not None
            for prediction in predict(self.vocabulary, c.units, c.logits, self.full)
        ]
