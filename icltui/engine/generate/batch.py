"""Several queries at once: rows of different lengths, padded in front, each lane one run of all of them.

Enters: cases that differ in their query alone. Leaves: a :class:`~icltui.values.Generation` for each. A patch that is
made for each query apart (frozen, or compiled on the prompt's own) cannot act on all rows: see :func:`can_batch`.
Whether padding leaves the model's numbers as they are is tried on the shortest row, each time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icltui.api.progress import ProgressCallback
from icltui.engine.generate.generate import Track, step, summarize, with_context
from icltui.engine.generate.sampling import Sampler
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States, widen
from icltui.engine.hooks.forward_output import forward_output
from icltui.engine.hooks.site import Site, SiteHook, input_device
from icltui.engine.measure.forward import can_use_cache, forward, forward_arguments, position_ids
from icltui.engine.patch.build import Case, Crafted
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.patch import HeldPatch, TokenPatch
from icltui.values import Generation, Lane
from icltui.values.recipe import Sampling

MOST_ROWS, MOST_TOKENS = 32, 16_384
"""Of one batch; tokens count their padding."""
TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4}
"""Of logits behind a padded row against those behind the row alone, relative to the largest; other dtypes: 5e-2."""


def can_batch(case: Case, crafted: Crafted | None) -> bool:
    """Whether one patch, or one made token by token from the rows' own context, serves every row."""
    if "position_ids" not in forward_arguments(case.loaded.model) or not can_use_cache(case.loaded.model):
        return False
    if crafted is not None and crafted.patch is None:
        return case.recipe.control == "none" and not isinstance(case.recipe.alpha, str)
    return crafted is None or bool(case.calibration)


def in_batches(cases: Sequence[Case], n_tokens: int) -> Iterator[Sequence[Case]]:
    """The cases in groups, as many in each as fit."""
    longest = max(len(case.ids.full) for case in cases) + n_tokens
    size = max(1, min(MOST_ROWS, MOST_TOKENS // longest))
    for begin in range(0, len(cases), size):
        yield cases[begin : begin + size]


@dataclass
class Rows:
    """Runs of several rows side by side, which go on token by token."""

    model: Any
    ids: Sequence[Sequence[int]]
    at: Sequence[Sequence[int]]
    """Where each token stands."""
    cache: Any = None
    mask: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.longest = max(map(len, self.ids))
        padded = [[0] * (self.longest - len(row)) + [1] * len(row) for row in self.ids]
        self.mask = torch.tensor(padded, device=input_device(self.model))
        self.next_at = [stands[-1] + 1 for stands in self.at]

    def begin(self) -> Tensor:
        """Logits (rows, vocabulary) behind each row."""
        ids, at = (
            [[0] * (self.longest - len(part)) + list(part) for part in kind] for kind in (self.ids, self.at)
        )
        return self._run(ids, at)

    def go_on(self, tokens: Sequence[int]) -> Tensor:
        """Logits behind one more token of each row."""
        at = [[place] for place in self.next_at]
        self.next_at = [place + 1 for place in self.next_at]
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        return self._run([[token] for token in tokens], at)

    def last(self, counts: Sequence[int]) -> Tensor:
        """The indices of each row's last tokens among all that :meth:`begin` runs."""
        ends = ((number + 1) * self.longest for number in range(len(counts)))
        return torch.cat([torch.arange(end - n, end) for end, n in zip(ends, counts, strict=True)])

    def _run(self, ids: list[list[int]], at: list[list[int]]) -> Tensor:
        device = input_device(self.model)
        kwargs: dict[str, Any] = (
            {"logits_to_keep": 1} if "logits_to_keep" in forward_arguments(self.model) else {}
        )
        made = forward_output(
            self.model,
            torch.tensor(ids, device=device),
            position_ids=torch.tensor(at, device=device),
            attention_mask=self.mask,
            past_key_values=self.cache,
            use_cache=True,
            **kwargs,
        )
        self.cache = made.cache
        return widen(made.logits[:, -1])


@dataclass
class Seen(SiteHook):
    """Keeps z and v of the tokens ``at``, or of all."""

    at: Tensor | None
    z: dict[int, Tensor] = field(default_factory=dict)
    v: dict[int, Tensor] = field(default_factory=dict)

    def mlp_input(self, layer: int, z: Tensor) -> None:
        self.z[layer] = self._copy(z)

    def residual(self, layer: int, v: Tensor) -> None:
        self.v[layer] = self._copy(v)

    def _copy(self, tensor: Tensor) -> Tensor:
        return widen(tensor if self.at is None else tensor[self.at.to(tensor.device)]).clone()

    def targets(self, sites: Sequence[Site]) -> States:
        """What a patch is aimed at."""
        device = self.z[sites[0].layer].device
        z, v = (torch.stack([kept[site.layer].to(device) for site in sites]) for kept in (self.z, self.v))
        return States(z, v, v, z.new_zeros(z.shape[:2]), {})


@dataclass
class RowsLane:
    """All rows of one lane, through a patch that is held, if any."""

    rows: Rows
    patch: HeldPatch | None = None

    def begin(self) -> Tensor:
        """Logits behind each row."""
        with acting(self.patch):
            return self.rows.begin()

    def go_on(self, tokens: Sequence[int]) -> Tensor:
        """Logits behind one more token of each."""
        with acting(self.patch):
            return self.rows.go_on(tokens)


@dataclass
class SteppingRows:
    """All rows through a patch for every token, the contextual rows beside them."""

    rows: Rows
    beside: Rows
    patch: TokenPatch
    counts: Sequence[int]
    """Query tokens of each row."""

    def begin(self) -> Tensor:
        """Logits behind each row, the tokens of its query patched."""
        with attach(self.patch.sites, seen := Seen(self.beside.last(self.counts))):
            self.beside.begin()
        self.patch.aim(seen.targets(self.patch.sites), at=self.rows.last(self.counts))
        with acting(self.patch):
            return self.rows.begin()

    def go_on(self, tokens: Sequence[int]) -> Tensor:
        """Logits behind one more token of each, patched."""
        with attach(self.patch.sites, seen := Seen(None)):
            self.beside.go_on(tokens)
        self.patch.aim(seen.targets(self.patch.sites))
        with acting(self.patch):
            return self.rows.go_on(tokens)


def generate_rows(
    cases: Sequence[Case],
    crafted: Crafted | None,
    lanes: Sequence[Lane],
    n_tokens: int,
    sampling: Sampling,
    on_progress: ProgressCallback,
) -> list[Generation] | None:
    """The lanes of every case, or None where this model's numbers do not stay the same beside padding."""
    tracks: list[dict[Lane, Track]] = [{name: Track() for name in with_context(lanes)} for _ in cases]
    speakers = {name: _lane(cases, crafted, name) for name in tracks[0]}
    sampler = Sampler(sampling)
    for index in range(n_tokens):
        on_progress(f"generating for {len(cases)} queries", index, n_tokens)
        context: list[Tensor | None] = [None] * len(cases)
        for name, speaker in speakers.items():
            logits = speaker.begin() if index == 0 else speaker.go_on([of[name].tokens[-1] for of in tracks])
            if index == 0 and name == "context" and not _is_right(cases, logits):
                return None
            for number, (case, of) in enumerate(zip(cases, tracks, strict=True)):
                track = of[name]
                if name == "context" and not track.ended:
                    context[number] = logits[number].log_softmax(-1)
                if not track.ended:
                    same = track.tokens == of["context"].tokens[:index]
                    step(case.loaded, name, track, sampler, logits[number], context[number] if same else None)
        if all(track.ended for of in tracks for track in of.values()):
            break
    return [summarize(of, case, sampling) for of, case in zip(tracks, cases, strict=True)]


def _lane(cases: Sequence[Case], crafted: Crafted | None, name: Lane) -> RowsLane | SteppingRows:
    model = cases[0].loaded.model
    full = Rows(model, [case.ids.full for case in cases], [range(len(case.ids.full)) for case in cases])
    if name == "context":
        return RowsLane(full)
    gaps = [(0, len(case.ids.context)) for case in cases]
    at = [position_ids(case.ids, gap, case.positions) for case, gap in zip(cases, gaps, strict=True)]
    rows = Rows(model, [case.ids.plain for case in cases], at)
    if name == "plain":
        return RowsLane(rows)
    assert crafted is not None, "craft the patch before its lane is made"
    if crafted.patch is not None:
        return RowsLane(rows, crafted.patch.at(crafted.alpha))
    case = cases[0]
    patch = TokenPatch(case.sites, case.recipe.components, crafted.alpha)
    return SteppingRows(rows, full, patch, [len(case.ids.query) for case in cases])


def _is_right(cases: Sequence[Case], logits: Tensor) -> bool:
    """Whether the row with the most padding says what it says alone."""
    number = min(range(len(cases)), key=lambda k: len(cases[k].ids.full))
    model = cases[number].loaded.model
    alone = forward(model, cases[number].ids.full).to(logits.device)
    tolerance = TOLERANCES.get(model.dtype, 5e-2) * float(alone.abs().max())
    return bool((logits[number] - alone).abs().max() <= tolerance)
