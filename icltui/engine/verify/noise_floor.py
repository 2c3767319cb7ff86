"""What rounding makes of right runs: the contextual prompt again, through kernels of other lengths.

Enters: the contextual run. Leaves: at each layer the relative errors of the MLP's and of the block's output at the last
token, and L∞ of the logits, each the median of several runs, so that a run that happens to equal the first counts once.

Every run hands each block what entered it in the contextual run, since a patch brings each block back to its contextual
output too: otherwise the errors of all layers would add up, in bfloat16 to ten times what one block's rounding makes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.engine.hooks.attach import attach
from icltui.engine.hooks.capture import widen
from icltui.engine.hooks.site import Site, SiteHook
from icltui.engine.measure.block_inputs import GivenBlockInputs, Streams
from icltui.engine.measure.forward_pass import KVCache, can_use_cache, forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.exactness_at_load import relative_error
from icltui.engine.prompts.tokenize import Ids

_N_RUNS = 3
_N_MORE = (7, 1, 3)
"""Numbers of tokens after the prompt, in runs of a model that cannot continue from a cache."""


def resolution(dtype: torch.dtype, width: int, growth: float = 1.0) -> float:
    """The relative error that rounding alone can make where two runs happen to be equal.

    ``u √d`` in float32, for sums of ``width`` terms whose errors are independent (Higham & Mary 2019, theorem 2.4), in
    which float16 and bfloat16 models sum too; and their own ``u``, since their results are rounded once more.
    ``growth``: the norm of what a patch moves over the norm of where it moves it, as it is rounded at the larger.
    """
    unit = torch.finfo(torch.float32).eps / 2 * math.sqrt(width)
    if dtype.itemsize < 4:
        unit += torch.finfo(dtype).eps / 2
    return max(1.0, growth) * unit


@dataclass
class Outputs(SiteHook):
    """The output of each MLP and block at one token of the row."""

    at: int = -1
    """Counted from the end; where a module gives fewer tokens than the row has, its first one."""
    mlp: dict[int, Float[Tensor, " hidden"]] = field(default_factory=dict)
    block: dict[int, Float[Tensor, " hidden"]] = field(default_factory=dict)

    def mlp_output(self, layer: int, out: Float[Tensor, "tokens hidden"]) -> None:
        self.mlp[layer] = self._copy(out)

    def block_output(self, layer: int, out: Float[Tensor, "tokens hidden"]) -> None:
        self.block[layer] = self._copy(out)

    def _copy(self, out: Float[Tensor, "tokens hidden"]) -> Float[Tensor, " hidden"]:
        return widen(out[max(self.at, -len(out))]).clone()


@dataclass
class LastInputs(SiteHook):
    """What entered each block at the last tokens of the contextual run."""

    n_row: int
    n_kept: int
    seen: Streams = field(default_factory=dict)

    @classmethod
    def of(cls, loaded: LoadedModel, ids: Ids) -> "LastInputs":
        """Those that :func:`noise_floor` needs."""
        n = len(ids.full)
        return cls(n, max([1, *_tails(ids)]) if can_use_cache(loaded.model) else n)

    def block_input(self, layer: int, r: Float[Tensor, "tokens hidden"]) -> None:
        if len(r) == self.n_row:  # else the model has several streams
            self.seen[layer] = r[-self.n_kept :].clone()


@dataclass(frozen=True)
class NoiseFloor:
    """How far right runs miss the contextual one; 0 where all are equal to the bit."""

    logits: float
    """L∞, in logits."""
    mlp: dict[int, float]
    """Relative error of the MLP's output, by layer."""
    block: dict[int, float]
    """Relative error of the block's output, by layer."""


def noise_floor(
    loaded: LoadedModel,
    sites: Sequence[Site],
    ids: Ids,
    logits: Float[Tensor, " vocabulary"],
    outputs: Outputs,
    inputs: LastInputs,
) -> NoiseFloor:
    """The floor of what the contextual run gave, ``logits`` and ``outputs``; ``inputs`` entered its blocks."""
    runs = list((_continued if can_use_cache(loaded.model) else _lengthened)(loaded, sites, ids, inputs))
    if not runs:  # a prompt of one token has no other way
        return NoiseFloor(0.0, dict.fromkeys(outputs.mlp, 0.0), dict.fromkeys(outputs.block, 0.0))

    def of(name: str) -> dict[int, float]:
        real: dict[int, Tensor] = getattr(outputs, name)
        return {k: median(relative_error(getattr(run, name)[k], real[k]) for _, run in runs) for k in real}

    return NoiseFloor(median(float((got - logits).abs().max()) for got, _ in runs), of("mlp"), of("block"))


def _tails(ids: Ids) -> list[int]:
    """Different numbers of last tokens that runs from a cache read at once."""
    n, q = len(ids.full), len(ids.query)
    lengths = dict.fromkeys((q, 1, q + 7, q + 1, q + 2, 2, 3))
    return [length for length in lengths if 0 < length < n][:_N_RUNS]


def _continued(
    loaded: LoadedModel, sites: Sequence[Site], ids: Ids, inputs: LastInputs
) -> Iterator[tuple[Float[Tensor, " vocabulary"], Outputs]]:
    """Runs in two pieces."""
    for tail in _tails(ids):
        cache = KVCache()
        forward(loaded.model, ids.full[:-tail], cache)
        at = torch.arange(inputs.n_kept - tail, inputs.n_kept)
        with (
            attach(_given(sites, inputs), GivenBlockInputs(inputs.seen, at)),
            attach(sites, outputs := Outputs()),
        ):
            yield forward(loaded.model, ids.full[-tail:], cache), outputs


def _lengthened(
    loaded: LoadedModel, sites: Sequence[Site], ids: Ids, inputs: LastInputs
) -> Iterator[tuple[Float[Tensor, " vocabulary"], Outputs]]:
    """Runs with more tokens at the end."""
    n = len(ids.full)
    rooms = _N_MORE if loaded.window is None else {min(more, loaded.window - n) for more in _N_MORE}
    for room in rooms:
        again = n - len(ids.query)
        at = torch.tensor([*range(n), *[again] * room])
        with (
            attach(_given(sites, inputs), GivenBlockInputs(inputs.seen, at)),
            attach(sites, outputs := Outputs(-1 - room)),
        ):
            row = [*ids.full, *[ids.full[again]] * room]
            yield forward(loaded.model, row, logits_to_keep=torch.tensor([n - 1]))[0], outputs


def _given(sites: Sequence[Site], inputs: LastInputs) -> list[Site]:
    return [site for site in sites if site.layer in inputs.seen]
