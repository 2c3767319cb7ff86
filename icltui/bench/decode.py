"""What a patch on all layers costs while text is generated, token by token, every lane with its key-value cache.

Enters: settings. Leaves: a :class:`Decoding`, milliseconds per token and the ratio to the lane without a patch. The
ways take turns at every token, and a ratio is the median over tokens, each against its neighbour in time: what else the
machine does falls on both. The bare loop over ``model(ids, past_key_values=…)`` shows what our own lane costs.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from icltui.bench.race import Tell
from icltui.bench.workload import Settings, Size, Subject, make_subject
from icltui.engine.generate.generate import make_lane
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import AnyLane
from icltui.engine.prompts.tokenize import Ids
from icltui.values import Lane
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe

SIZE: Size = (256, 16)
"""Context and query tokens."""
WARM_UP_TOKENS = 2
"""Tokens that each way decodes once before it counts."""
LOOP, PLAIN, CONTEXT = "Hugging Face loop", "no patch", "no patch, with the context"
RANKS = (4, 8, 16)
RECIPES: Mapping[str, Recipe] = {
    "frozen": Recipe(mode="frozen"),
    "frozen, bias": Recipe(mode="frozen", carrier="bias"),
    **{
        f"compiled, rank {rank}": Recipe(mode="compiled", n_fitted=16, rank=rank, ridge=1e-4)
        for rank in RANKS
    },
    "per step, two runs": Recipe(mode="per-step"),
}
"""The patched ways, all layers each."""
MakeLane = Callable[[], "AnyLane | BareLoop"]


@dataclass(frozen=True)
class DecodeLine:
    """One way."""

    way: str
    milliseconds: float
    """Per token."""
    ratio: float
    """To the lane without a patch."""
    tokens: tuple[int, ...]
    """What was decoded, greedily, behind the query."""


@dataclass(frozen=True)
class Decoding:
    """All that was measured."""

    settings: Settings
    model: str
    threads: int
    ids: Ids
    lines: tuple[DecodeLine, ...]


@dataclass
class BareLoop:
    """What anyone would write by hand; no lane of ours."""

    model: Any
    row: list[int]
    cache: Any = None

    def start(self) -> Tensor:
        return self._pass(self.row)

    def feed(self, token: int) -> Tensor:
        return self._pass([token])

    def _pass(self, tokens: list[int]) -> Tensor:
        ids = torch.tensor([tokens], device=self.model.device)
        output = self.model(ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self.cache = output.past_key_values
        logits: Tensor = output.logits[0, -1]
        return logits


@torch.inference_mode()
def time_decoding(settings: Settings, tell: Tell) -> Decoding:
    """Every way, ``settings.decode`` tokens, ``settings.repeat`` times.

    Raises:
        BadInput: more tokens than the model has positions for.
    """
    subject = make_subject(settings)
    ids = _ids(subject, settings.decode)
    tell("decoding: making the patches")
    ways = _ways(subject, ids)
    _decode(ways, WARM_UP_TOKENS)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(settings.repeat):
        tell(f"decoding {settings.decode} tokens: {turn + 1} of {settings.repeat}")
        said, taken = _decode(ways, settings.decode)
        for way in ways:
            seconds[way] += taken[way]
    lines = tuple(_line(way, seconds[way], seconds[PLAIN], said[way]) for way in ways)
    return Decoding(settings, subject.name, torch.get_num_threads(), ids, lines)


def _ids(subject: Subject, n_tokens: int) -> Ids:
    n, q = SIZE
    loaded = subject.engine.loaded
    assert loaded is not None
    task = subject.task(n, q)
    needed = len(task.row(n)) + n_tokens
    if loaded.window is not None and needed > loaded.window:
        raise BadInput(f"decoding needs {needed} positions of {loaded.window} there are: give less --decode")
    return Ids(task.prefix, task.context, task.query, tuple(range(n + 1)))


def _ways(subject: Subject, ids: Ids) -> dict[str, MakeLane]:
    """A lane at its beginning, by the way's name; the patches are made once."""
    loaded = subject.engine.loaded
    assert loaded is not None

    def unpatched(lane: Lane) -> MakeLane:
        return lambda: make_lane(PatchSpec(loaded, loaded.sites, ids, "reset", Recipe()), None, lane)

    def patched(recipe: Recipe) -> MakeLane:
        spec = PatchSpec(loaded, loaded.sites, ids, "reset", recipe)
        built = build_patch(spec, n_later=0)
        return lambda: make_lane(spec, built, "patched")

    return {
        LOOP: lambda: BareLoop(subject.model, ids.plain),
        PLAIN: unpatched("plain"),
        CONTEXT: unpatched("context"),
        **{way: patched(recipe) for way, recipe in RECIPES.items()},
    }


def _decode(
    ways: Mapping[str, MakeLane], n_tokens: int
) -> tuple[dict[str, list[int]], dict[str, list[float]]]:
    """What each way says, the first token untimed, and the seconds of each token behind it."""
    lanes = {way: make() for way, make in ways.items()}
    said = {way: [int(lane.start().argmax())] for way, lane in lanes.items()}
    taken: dict[str, list[float]] = {way: [] for way in lanes}
    order = list(lanes)
    for _ in range(n_tokens):
        for way in order:
            start = time.perf_counter()
            said[way].append(int(lanes[way].feed(said[way][-1]).argmax()))
            taken[way].append(time.perf_counter() - start)
        order.append(order.pop(0))  # no way is always the one behind the slowest
    return said, taken


def _line(way: str, seconds: list[float], plain: list[float], said: list[int]) -> DecodeLine:
    ratio = median(mine / other for mine, other in zip(seconds, plain, strict=True))
    return DecodeLine(way, median(seconds) * 1e3, ratio, tuple(said))
