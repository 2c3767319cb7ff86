"""A patch that sits the exam, and the passages that all of them are made from.

Enters: passages that were read once. Leaves: an :class:`Examinee`: what acts while rows are forced through the model,
a lane that goes on with queries, and what the patch costs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.engine.distill.lora import Lora
from icltui.engine.exam.answers import StartLane
from icltui.engine.exam.score import Acting
from icltui.engine.generate.generate import make_decoder
from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import States
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.calibration import Passage
from icltui.engine.patch.decoding import Decoder, Rows
from icltui.engine.patch.low_rank_map import LowRank
from icltui.engine.patch.patch import HeldPatch, LayerPatch, TokenPatch


@dataclass(frozen=True)
class Material:
    """The passages that every patch of a context is made from."""

    spec: PatchSpec
    """Its recipe is the session's own."""
    own: Passage
    """The passage of the prompt's query."""
    calibration: tuple[Passage, ...]
    seconds: float
    """Duration of reading the calibration's passages."""
    ordinary: PatchSpec
    """The spec of the patch that weighs by ordinary text."""
    choice_seconds: float = 0.0
    """Duration of choosing its recipe and layers."""
    notes: tuple[str, ...] = ()
    """What is to be told of the choice."""


@dataclass(frozen=True)
class Examinee:
    """A patch, or no patch, as the exam puts it to the test."""

    acting: Acting
    start: StartLane
    """A lane of some passages' queries, without the context."""
    made: str = ""
    """How it was made, in words."""
    seconds: float = 0.0
    """Time that it took to make, with reading what it is made from."""
    layers: Mapping[int, LayerPatch] = field(default_factory=dict)
    """The held patch by layer, at its strength; empty where it is not made of such."""
    floats: int | None = None
    """Numbers that it stores; None where it is not held."""
    rank: int | None = None
    """The largest rank of its parts; None where it is not held."""

    @property
    def is_held(self) -> bool:
        """Whether it acts on any text, with no context beside it."""
        return self.floats is not None


@dataclass(frozen=True)
class ActingRows:
    """Rows that go on while something acts on the model."""

    rows: Rows
    acting: Callable[[], AbstractContextManager[object]]

    def prefill(self) -> Float[Tensor, "rows vocabulary"]:
        """Logits after the last token of each row."""
        with self.acting():
            return self.rows.prefill()

    def step(self, tokens: Sequence[int]) -> Float[Tensor, "rows vocabulary"]:
        """Logits after one more token of each row."""
        with self.acting():
            return self.rows.step(tokens)


def no_patch(loaded: LoadedModel) -> Examinee:
    """The model as it is."""
    return Examinee(
        lambda _passages: nullcontext(),
        lambda passages: ActingRows(_plain_rows(loaded, passages), nullcontext),
    )


def held_patch(loaded: LoadedModel, patch: HeldPatch, made: str = "", seconds: float = 0.0) -> Examinee:
    """One patch for every token, at its strength."""
    layers = {layer: part.times(patch.alpha) for layer, part in patch.layers.items()}
    whole = HeldPatch(patch.sites, layers)
    return Examinee(
        acting=lambda _passages: attach(whole.sites, whole),
        start=lambda passages: ActingRows(_plain_rows(loaded, passages), lambda: attach(whole.sites, whole)),
        made=made,
        seconds=seconds,
        layers=layers,
        floats=n_floats(layers.values()),
        rank=max((map_.rank for layer in layers.values() for map_ in maps(layer)), default=1),
    )


def patch_per_step(spec: PatchSpec, made: str = "") -> Examinee:
    """A new patch for every token, aimed by its contextual states."""

    def acting(passages: Sequence[Passage]) -> AbstractContextManager[object]:
        patch = TokenPatch(spec.sites, spec.recipe.components)
        patch.aim(States.join([passage.targets for passage in passages]), _after_prefix(passages))
        return attach(spec.sites, patch)

    def start(passages: Sequence[Passage]) -> Decoder:
        specs = [replace(spec, ids=passage.ids) for passage in passages]
        return make_decoder(specs, BuiltPatch(specs[0]), "patched")

    return Examinee(acting, start, made)


def lora_patch(loaded: LoadedModel, lora: Lora, rank: int, made: str, seconds: float) -> Examinee:
    """A trained LoRA, held for every token."""

    def start(passages: Sequence[Passage]) -> ActingRows:
        return ActingRows(_plain_rows(loaded, passages), lora.acting)

    return Examinee(lambda _passages: lora.acting(), start, made, seconds, floats=lora.n_floats, rank=rank)


def maps(layer: LayerPatch) -> list[LowRank]:
    """The layer's low-rank maps."""
    return [map_ for map_ in (layer.weights, layer.output) if map_ is not None]


def n_floats(layers: Iterable[LayerPatch]) -> int:
    """The numbers in the factors and constants of a patch."""
    total = 0
    for layer in layers:
        total += sum(map_.read.numel() + map_.write.numel() for map_ in maps(layer))
        total += 0 if layer.bias is None else layer.bias.numel()
    return total


def _plain_rows(loaded: LoadedModel, passages: Sequence[Passage]) -> Rows:
    rows = [passage.ids.plain for passage in passages]
    positions = [passage.position_ids[: len(row)] for passage, row in zip(passages, rows, strict=True)]
    return Rows(loaded.model, rows, positions)


def _after_prefix(passages: Sequence[Passage]) -> Int[Tensor, " targets"]:
    """The indices of the queries' and continuations' tokens, the rows laid end to end and padded on the right."""
    longest = max(len(passage.plain) for passage in passages)
    spans = (
        torch.arange(len(passage.ids.prefix), len(passage.plain)) + number * longest
        for number, passage in enumerate(passages)
    )
    return torch.cat([*spans])
