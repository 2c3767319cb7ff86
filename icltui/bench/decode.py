"""The cost of a patch on all layers while text is generated token by token, each lane with its key-value cache.

Settings enter; a :class:`Decoding` leaves, milliseconds per token and the ratio to the lane without a patch. The
methods take turns at every token, and a ratio is the median over tokens, each against its neighbour in time, so that
other load of the machine slows both. The plain loop over ``model(ids, past_key_values=…)`` shows the cost of
our own lane.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback
from icltui.bench.model_and_prompts import BenchModel, RaceSettings, Size, load_bench_model
from icltui.engine.generate.generate import make_decoder
from icltui.engine.patch.build import PatchSpec, build_patch
from icltui.engine.patch.decoding import Decoder
from icltui.engine.prompts.tokenize import Ids
from icltui.text.tables import number, numbers, render, table, words
from icltui.values import Lane
from icltui.values.errors import BadInput
from icltui.values.recipe import Recipe

SIZE: Size = (256, 16)
"""Context and query tokens."""
WARM_UP_TOKENS = 2
"""Tokens that each method decodes before its time counts."""
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
"""The methods with a patch, each on all layers."""
HELD_AND_PER_STEP = {name: RECIPES[name] for name in ("compiled, rank 8", "per step, two runs")}
"""One method of each kind, for models on which all would take long."""
_NOTE = (
    f"{LOOP}: model(ids, past_key_values=…) by hand. {PLAIN}: our lane of the query alone; {CONTEXT}: of context "
    "and query. The others hold a patch on all layers. Per step runs the context beside the query: two runs per "
    "token. Ratios: medians over tokens, each against its neighbour in time."
)
MakeDecoder = Callable[[], "Decoder | PlainLoop"]


@dataclass(frozen=True)
class DecodeRow:
    """The speed of one method."""

    method: str
    milliseconds: float
    """Milliseconds per token."""
    ratio: float
    """Time over that of the lane without a patch."""
    tokens: tuple[int, ...]
    """The tokens decoded greedily after the query."""


@dataclass(frozen=True)
class Decoding:
    """The speed of every method, with the model and the machine."""

    settings: RaceSettings
    model: str
    threads: int
    ids: Ids
    lines: tuple[DecodeRow, ...]


@dataclass
class PlainLoop:
    """The loop that anyone would write by hand, without our decoder."""

    model: Any
    row: list[int]
    cache: Any = None

    def prefill(self) -> Tensor:
        return self._pass(self.row)

    def step(self, tokens: Sequence[int]) -> Tensor:
        return self._pass(tokens)

    def _pass(self, tokens: Sequence[int]) -> Tensor:
        ids = torch.tensor([list(tokens)], device=self.model.device)
        output = self.model(ids, past_key_values=self.cache, use_cache=True, logits_to_keep=1)
        self.cache = output.past_key_values
        logits: Tensor = output.logits[:, -1]
        return logits


@torch.inference_mode()
def time_decoding(
    settings: RaceSettings,
    on_progress: ProgressCallback,
    recipes: Mapping[str, Recipe] = RECIPES,
    loaded: BenchModel | None = None,
) -> Decoding:
    """Decode ``settings.decode`` tokens by every method, ``settings.repeat`` times. ``loaded``: the model, if it is.

    Raises:
        BadInput: more tokens than the model has positions for.
    """
    bench_model = loaded or load_bench_model(settings)
    ids = _ids(bench_model, settings.decode)
    on_progress("decoding: making the patches")
    methods = _methods(bench_model, ids, recipes)
    _decode(methods, WARM_UP_TOKENS, settings.clock)
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    for turn in range(settings.repeat):
        on_progress(f"decoding {settings.decode} tokens", turn + 1, settings.repeat)
        said, taken = _decode(methods, settings.decode, settings.clock)
        for method in methods:
            seconds[method] += taken[method]
    lines = tuple(_line(method, seconds[method], seconds[PLAIN], said[method]) for method in methods)
    return Decoding(settings, bench_model.name, torch.get_num_threads(), ids, lines)


def _ids(bench_model: BenchModel, n_tokens: int) -> Ids:
    n, q = SIZE
    loaded = bench_model.loaded
    prompt = bench_model.prompt(n, q)
    needed = len(prompt.row(n)) + n_tokens
    if loaded.window is not None and needed > loaded.window:
        raise BadInput(f"decoding needs {needed} positions of {loaded.window} there are: give less --decode")
    return Ids(prompt.prefix, prompt.context, prompt.query, tuple(range(n + 1)))


def _methods(bench_model: BenchModel, ids: Ids, recipes: Mapping[str, Recipe]) -> dict[str, MakeDecoder]:
    """A decoder at its first token, by the method's name; the patches are made once."""
    loaded = bench_model.loaded

    def unpatched(lane: Lane) -> MakeDecoder:
        return lambda: make_decoder([PatchSpec(loaded, loaded.sites, ids, "reset", Recipe())], None, lane)

    def patched(recipe: Recipe) -> MakeDecoder:
        spec = PatchSpec(loaded, loaded.sites, ids, "reset", recipe)
        built = build_patch(spec, n_later=0)
        return lambda: make_decoder([spec], built, "patched")

    return {
        LOOP: lambda: PlainLoop(bench_model.model, ids.plain),
        PLAIN: unpatched("plain"),
        CONTEXT: unpatched("context"),
        **{method: patched(recipe) for method, recipe in recipes.items()},
    }


def _decode(
    methods: Mapping[str, MakeDecoder], n_tokens: int, clock: Callable[[], float]
) -> tuple[dict[str, list[int]], dict[str, list[float]]]:
    """The tokens of each method and the seconds of each after the first, which is not timed."""
    lanes = {method: make() for method, make in methods.items()}
    said = {method: [int(lane.prefill().argmax())] for method, lane in lanes.items()}
    taken: dict[str, list[float]] = {method: [] for method in lanes}
    order = list(lanes)
    for _ in range(n_tokens):
        for method in order:
            start = clock()
            said[method].append(int(lanes[method].step(said[method][-1:]).argmax()))
            taken[method].append(clock() - start)
        order.append(order.pop(0))  # so that no method always follows the slowest
    return said, taken


def _line(method: str, seconds: list[float], plain: list[float], said: list[int]) -> DecodeRow:
    ratio = median(mine / other for mine, other in zip(seconds, plain, strict=True))
    return DecodeRow(method, median(seconds) * 1e3, ratio, tuple(said))


def decode_table(decoding: Decoding, width: int) -> str:
    """The results as text."""
    used, ids = decoding.settings, decoding.ids
    rows = [(line.method, number(line.milliseconds), f"{line.ratio:.3f}") for line in decoding.lines]
    title = (
        f"Decoding on {decoding.model}, {used.dtype}, {used.device}, {decoding.threads} threads: {used.decode} tokens "
        f"after {len(ids.context)} context and {len(ids.query)} query tokens, key-value caches, {used.repeat} times; "
        "the methods take turns at every token."
    )
    grid = table([words(""), *numbers("ms/token", f"/ {PLAIN}")], rows)
    return render([title, grid, _NOTE], width)
