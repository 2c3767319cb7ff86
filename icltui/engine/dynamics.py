"""*grow*: the context arrives unit by unit, and each unit is one step of a gradient descent on W.

Enters: prefix chunks. Leaves: rows and predictions. With the fixed reference a = A_0, step i is
``W_i = W_{i−1} + (W_0 (A_i − A_{i−1})) aᵀ/‖a‖²``, a normalised-LMS step ([1], Prop. 3.1), hence

    ‖W_i − W_{i−1}‖ = ‖W_0 (A_i − A_{i−1})‖ / ‖a‖        ‖W_i − W_0‖ = ‖W_0 (A_i − A_0)‖ / ‖a‖
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icltui.engine.prefixes import PrefixChunk
from icltui.engine.site import Site
from icltui.engine.tokens import pieces
from icltui.engine.update import projected_norm, weight_norm
from icltui.record import Candidate, Prediction, Row

Measured = tuple[list[Row], list[Prediction]]


def plain(value: float | Tensor) -> float | None:
    """A number for a record: None when it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None


def measure_growth(
    sites: Sequence[Site], chunks: Iterable[PrefixChunk], tokenizer: Any, n_units: int
) -> Iterator[Measured]:
    """Rows and predictions in ascending order of units, a chunk at a time.

    ``chunks`` come as :func:`icltui.engine.prefixes.measure_prefixes` gives them: the full context, kept for
    last here, leads; then 0, 1, 2, ….
    """
    growth: _Growth | None = None
    last: PrefixChunk | None = None
    for chunk in chunks:
        if growth is None:
            last, chunk = _split_full(chunk, n_units)
            growth = _Growth(sites, tokenizer, last.logits[0].log_softmax(-1))
        if chunk.units:
            yield growth.step(chunk)
    if growth is not None and last is not None and n_units > 0:
        yield growth.step(last)


def _split_full(chunk: PrefixChunk, n_units: int) -> tuple[PrefixChunk, PrefixChunk]:
    """The leading full-context copy, and the rest; with no units the empty context is both."""
    assert chunk.units[0] == n_units
    parts = [
        PrefixChunk(chunk.units[at], chunk.z[at], chunk.v[at], chunk.logits[at])
        for at in (slice(0, 1), slice(1 if n_units else 0, None))
    ]
    return parts[0], parts[1]


@dataclass
class _Growth:
    """What one step must remember of the steps before it; vectors are (layers, hidden)."""

    sites: Sequence[Site]
    tokenizer: Any
    full: Tensor
    """Log-probabilities behind the full context, (vocabulary,)."""
    reference: Tensor | None = None
    z: Tensor | None = None
    v: Tensor | None = None
    delta: Tensor | None = None
    cumulative: list[float] = field(default_factory=list)
    weight_norms: list[float] = field(default_factory=list)
    """‖W‖ of each layer, taken once a run."""

    def step(self, chunk: PrefixChunk) -> Measured:
        """The numbers of a chunk of consecutive units."""
        if self.reference is None:
            self.reference, self.z, self.v = chunk.z[0], chunk.z[0], chunk.v[0]
            self.cumulative = [0.0] * len(self.sites)
            self.weight_norms = [weight_norm(site) for site in self.sites]
        assert self.z is not None
        assert self.v is not None
        deltas = chunk.z - torch.cat([self.z[None], chunk.z[:-1]])
        shifts = chunk.v - torch.cat([self.v[None], chunk.v[:-1]])
        before = torch.cat([deltas[:1] if self.delta is None else self.delta[None], deltas[:-1]])
        cosines = torch.nn.functional.cosine_similarity(deltas, before, dim=-1, eps=0.0)
        rows: list[list[Row]] = [[] for _ in chunk.units]
        for k, site in enumerate(self.sites):
            self._layer_rows(rows, k, site, chunk, deltas[:, k], shifts[:, k], cosines[:, k])
        self.z, self.v, self.delta = chunk.z[-1], chunk.v[-1], deltas[-1]
        return [row for of_unit in rows for row in of_unit], self._predictions(chunk)

    def _layer_rows(
        self,
        rows: list[list[Row]],
        k: int,
        site: Site,
        chunk: PrefixChunk,
        delta: Tensor,
        shift: Tensor,
        cosine: Tensor,
    ) -> None:
        assert self.reference is not None
        z = chunk.z[:, k]
        a_norm = self.reference[k].norm()
        steps = projected_norm(site, delta) / a_norm
        nets = projected_norm(site, z - self.reference[k]) / a_norm
        columns = torch.stack(
            [z.norm(dim=-1), delta.norm(dim=-1), shift.norm(dim=-1), steps, nets, cosine], dim=-1
        )
        for i, (unit, values) in enumerate(zip(chunk.units, columns.double().tolist(), strict=True)):
            z_norm, delta_norm, shift_norm, patch, net, cos = values
            self.cumulative[k] += patch
            later = unit > 0
            rows[i].append(
                Row(
                    unit=unit,
                    layer=site.layer,
                    z_norm=plain(z_norm),
                    learning_rate=plain(z_norm**-2) if z_norm else None,
                    net_patch_norm=plain(net),
                    delta_norm=plain(delta_norm) if later else None,
                    shift_norm=plain(shift_norm) if later else None,
                    patch_norm=plain(patch) if later else None,
                    relative_patch_norm=plain(patch / self.weight_norms[k]) if later else None,
                    cumulative_patch_norm=plain(self.cumulative[k]),
                    cosine_previous=plain(cos) if unit > 1 else None,
                )
            )

    def _predictions(self, chunk: PrefixChunk) -> list[Prediction]:
        log_p = chunk.logits.log_softmax(-1)
        full = self.full.to(log_p.device)
        kl = divergence(full[None], log_p)
        return [
            Prediction(
                unit=unit,
                top=candidates(self.tokenizer, log_p[i]),
                entropy=plain(-torch.xlogy(log_p[i].exp(), log_p[i].exp()).sum()),
                kl_to_full=plain(kl[i]),
            )
            for i, unit in enumerate(chunk.units)
        ]


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) in nats over the last axis; never below 0."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1).clamp_min(0.0)


def candidates(tokenizer: Any, log_p: Tensor, n: int = 5) -> tuple[Candidate, ...]:
    """The ``n`` most probable next tokens."""
    top = log_p.topk(min(n, len(log_p)))
    tokens = pieces(tokenizer, tuple(top.indices.tolist()))
    return tuple(
        Candidate(token=token, probability=p)
        for token, p in zip(tokens, top.values.exp().tolist(), strict=True)
    )
