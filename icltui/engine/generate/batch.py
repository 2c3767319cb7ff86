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
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.decoding import acting
from icltui.engine.patch.patch import HeldPatch, TokenPatch
from icltui.values import Generation, Lane
from icltui.values.recipe import Sampling

MOST_ROWS, MOST_TOKENS = 32, 16_384
"""Of one batch; tokens count their padding."""
TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4}
"""Of logits behind a padded row against those behind the row alone, relative to the largest; other dtypes: 5e-2."""


def can_batch(spec: PatchSpec, built: BuiltPatch | None) -> bool:
    """Whether one patch, or one made token by token from the rows' own context, serves every row."""
    if "position_ids" not in forward_arguments(spec.loaded.model) or not can_use_cache(spec.loaded.model):
        return False
    if built is not None and built.patch is None:
        return spec.recipe.control == "none" and not isinstance(spec.recipe.alpha, str)
    return built is None or bool(spec.calibration)


def in_batches(cases: Sequence[PatchSpec], n_tokens: int) -> Iterator[Sequence[PatchSpec]]:
    """The cases in groups, as many in each as fit."""
    longest = max(len(spec.ids.full) for spec in cases) + n_tokens
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
class FitInputs(SiteHook):
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
        with attach(self.patch.sites, seen := FitInputs(self.beside.last(self.counts))):
            self.beside.begin()
        self.patch.aim(seen.targets(self.patch.sites), at=self.rows.last(self.counts))
        with acting(self.patch):
            return self.rows.begin()

    def go_on(self, tokens: Sequence[int]) -> Tensor:
        """Logits behind one more token of each, patched."""
        with attach(self.patch.sites, seen := FitInputs(None)):
            self.beside.go_on(tokens)
        self.patch.aim(seen.targets(self.patch.sites))
        with acting(self.patch):
            return self.rows.go_on(tokens)


def generate_rows(
    cases: Sequence[PatchSpec],
    built: BuiltPatch | None,
    lanes: Sequence[Lane],
    n_tokens: int,
    sampling: Sampling,
    on_progress: ProgressCallback,
) -> list[Generation] | None:
    """The lanes of every case, or None where this model's numbers do not stay the same beside padding."""
    tracks: list[dict[Lane, Track]] = [{name: Track() for name in with_context(lanes)} for _ in cases]
    speakers = {name: _lane(cases, built, name) for name in tracks[0]}
    sampler = Sampler(sampling)
    for index in range(n_tokens):
        on_progress(f"generating for {len(cases)} queries", index, n_tokens)
        context: list[Tensor | None] = [None] * len(cases)
        for name, speaker in speakers.items():
            logits = speaker.begin() if index == 0 else speaker.go_on([of[name].tokens[-1] for of in tracks])
            if index == 0 and name == "context" and not _is_right(cases, logits):
                return None
            for number, (spec, of) in enumerate(zip(cases, tracks, strict=True)):
                track = of[name]
                if name == "context" and not track.ended:
                    context[number] = logits[number].log_softmax(-1)
                if not track.ended:
                    same = track.tokens == of["context"].tokens[:index]
                    step(spec.loaded, name, track, sampler, logits[number], context[number] if same else None)
        if all(track.ended for of in tracks for track in of.values()):
            break
    return [summarize(of, spec, sampling) for of, spec in zip(tracks, cases, strict=True)]


def _lane(cases: Sequence[PatchSpec], built: BuiltPatch | None, name: Lane) -> RowsLane | SteppingRows:
    model = cases[0].loaded.model
    full = Rows(model, [spec.ids.full for spec in cases], [range(len(spec.ids.full)) for spec in cases])
    if name == "context":
        return RowsLane(full)
    gaps = [(0, len(spec.ids.context)) for spec in cases]
    at = [position_ids(spec.ids, gap, spec.positions) for spec, gap in zip(cases, gaps, strict=True)]
    rows = Rows(model, [spec.ids.plain for spec in cases], at)
    if name == "plain":
        return RowsLane(rows)
    assert built is not None, "build the patch before its lane is made"
    if built.patch is not None:
        return RowsLane(rows, built.patch.at(built.alpha))
    spec = cases[0]
    patch = TokenPatch(spec.sites, spec.recipe.components, built.alpha)
    return SteppingRows(rows, full, patch, [len(spec.ids.query) for spec in cases])


def _is_right(cases: Sequence[PatchSpec], logits: Tensor) -> bool:
    """Whether the row with the most padding says what it says alone."""
    number = min(range(len(cases)), key=lambda k: len(cases[k].ids.full))
    model = cases[number].loaded.model
    alone = forward(model, cases[number].ids.full).to(logits.device)
    tolerance = TOLERANCES.get(model.dtype, 5e-2) * float(alone.abs().max())
    return bool((logits[number] - alone).abs().max() <= tolerance)
