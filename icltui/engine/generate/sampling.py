"""The next token, drawn from a distribution with one noise for all lanes.

Enters: log-probabilities, a sampling, the step. Leaves: an id. A token is the argmax of ``log p / T + Gumbel noise``,
which is a sample of p^(1/T) (Gumbel 1954; Maddison et al., arXiv 1411.0030). As the noise of a step is one for all
lanes, equal distributions give equal tokens, and lanes differ only where their distributions do.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from icltui.values.recipe import Sampling


@dataclass
class Sampler:
    """Draws for every lane; steps may come in any order, and each has one noise."""

    sampling: Sampling
    noise: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = torch.Generator().manual_seed(self.sampling.seed)

    def draw(self, log_p: Float[Tensor, " vocabulary"], step: int) -> int:
        """The id of the token at ``step`` of a lane with the distribution ``log_p``."""
        if self.sampling.temperature == 0:
            return int(log_p.argmax())
        log_p = log_p.cpu().double()
        scores = (log_p - log_p.max()) / self.sampling.temperature  # the largest is 0 at any temperature
        allowed = _allowed(scores, self.sampling)
        return int((scores + self._gumbel(step, len(scores))).masked_fill(~allowed, -torch.inf).argmax())

    def _gumbel(self, step: int, n: int) -> Float[Tensor, " vocabulary"]:
        while len(self.noise) <= step:
            uniform = torch.rand(n, generator=self.chance, dtype=torch.float64)
            self.noise.append(-(-uniform.clamp_min(torch.finfo(torch.float64).tiny).log()).log())
        return self.noise[step]


def _allowed(scores: Float[Tensor, " vocabulary"], sampling: Sampling) -> Bool[Tensor, " vocabulary"]:
    """Whether each token may be drawn: of the ``top_k`` most probable, those that reach ``top_p`` together."""
    order = scores.argsort(descending=True, stable=True)[: sampling.top_k]
    mass = scores[order].softmax(-1).cumsum(-1)
    before = torch.cat([mass.new_zeros(1), mass[:-1]])
    allowed = torch.zeros_like(scores, dtype=torch.bool)
    allowed[order[before < sampling.top_p]] = True
    return allowed
