"""One transformer block that predicts y at the query: attention, then an MLP, each with a skip connection.

Enters: tokens of examples and of queries. Leaves: v after attention, predictions, and the same predictions made without
the context through W + ΔW and the shift Δb. There is no norm, so z is v ([1] theorem B.2). W is the MLP's first matrix.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH, INNER, HEADS = 32, 128, 4


class RegressionBlock(nn.Module):
    """Tokens of ``n_inputs + 1`` numbers, embedded in ``WIDTH`` of them."""

    def __init__(self, n_inputs: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Linear(n_inputs + 1, WIDTH)
            self.queries, self.keys, self.values, self.mix = (
                nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4)
            )
            self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
            self.read = nn.Linear(WIDTH, 1)

    def attend(
        self,
        examples: Float[Tensor, "tasks examples token"],
        queries: Float[Tensor, "tasks token"],
        lengths: tuple[int, ...],
    ) -> Float[Tensor, "tasks lengths hidden"]:
        """v at the query after each of ``lengths`` examples; a query sees these examples and itself."""
        row, own = self.embed(examples), self.embed(queries)[:, None]
        row = torch.cat([own, row], 1)
        sees = torch.arange(row.shape[1]) <= torch.tensor(lengths)[:, None]
        asked = _heads(self.queries(own)).expand(-1, -1, len(lengths), -1)
        mixed = nn.functional.scaled_dot_product_attention(
            asked, _heads(self.keys(row)), _heads(self.values(row)), attn_mask=sees
        )
        v: Tensor = own + self.mix(mixed.transpose(1, 2).flatten(2))
        return v

    def predict(
        self,
        z: Float[Tensor, "*tasks hidden"],
        v: Float[Tensor, "*tasks hidden"],
        weight: Float[Tensor, "*tasks inner hidden"] | None = None,
    ) -> Float[Tensor, " *tasks"]:
        """The prediction where the MLP reads z through ``weight`` (None: W) and the skip connection carries v."""
        weight = self.up.weight if weight is None else weight
        inner = (weight @ z[..., None])[..., 0] + self.up.bias
        prediction: Tensor = self.read(v + self.down(nn.functional.gelu(inner)))[..., 0]
        return prediction

    def forward(
        self,
        examples: Float[Tensor, "tasks examples token"],
        queries: Float[Tensor, "tasks token"],
        lengths: tuple[int, ...],
    ) -> Float[Tensor, "tasks lengths"]:
        """The prediction after each of ``lengths`` examples, by an ordinary pass with the context."""
        v = self.attend(examples, queries, lengths)
        return self.predict(v, v)


def _heads(x: Float[Tensor, "tasks tokens hidden"]) -> Float[Tensor, "tasks heads tokens _size"]:
    return x.reshape(*x.shape[:-1], HEADS, -1).transpose(1, 2)


@dataclass(frozen=True)
class Patches:
    """ΔW and Δb of each task, after each of several numbers of examples."""

    weight: Float[Tensor, "tasks lengths inner hidden"]
    """ΔW = (W δ) vᵀ / ‖v‖², v of the query alone."""
    shift: Float[Tensor, "tasks lengths hidden"]
    """Δb = δ = v_C − v."""
    v: Float[Tensor, "tasks hidden"]
    """v of the query alone."""

    def predict(self, block: RegressionBlock, *, shifted: bool = True) -> Float[Tensor, "tasks lengths"]:
        """Predictions without the context, through W + ΔW and, where ``shifted``, Δb."""
        z = self.v[:, None].expand_as(self.shift)
        return block.predict(z, z + self.shift if shifted else z, block.up.weight + self.weight)


def make_patches(
    block: RegressionBlock,
    examples: Float[Tensor, "tasks examples token"],
    queries: Float[Tensor, "tasks token"],
    lengths: tuple[int, ...],
) -> Patches:
    """The patches after each of ``lengths`` examples, ΔW written out."""
    v = block.attend(examples, queries, (0,))
    delta = block.attend(examples, queries, lengths) - v
    images = delta @ block.up.weight.T
    weight = images[..., None] * (v / v.square().sum(-1, keepdim=True))[:, :, None]
    return Patches(weight, delta, v[:, 0])
