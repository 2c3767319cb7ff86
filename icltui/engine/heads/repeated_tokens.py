"""How far each head repeats what it has seen: its attention on random tokens that are repeated (Olsson et al. 2022).

Enters: a loaded model. Leaves: scores of each head and sequence. A sequence is ``kept prefix + R + R``, R different
random tokens. The *induction* score, or prefix matching, is the mean attention from a token of the second R to the one
after its first occurrence, n − 1 tokens back; the *previous-token* score that from each token to the one before. The
null level of induction is the attention across the same distance where the tokens are all different.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from icltui.api.option_table import option_of
from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.curves.text_tokens import is_text_token
from icltui.engine.heads.read_attention import reading_attention
from icltui.engine.measure.forward_pass import forward
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import tokenize
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

Scores = dict[int, Float[Tensor, "seeds _heads"]]
"""By layer."""
LEAST = 2
"""Random tokens of a sequence: a single one would be repeated at once."""


@dataclass(frozen=True)
class PrefixMatching:
    """The scores of every head on each sequence."""

    induction: Scores
    previous: Scores
    null: Scores
    """The induction score where nothing is repeated."""
    n_random: int
    """Different random tokens of each sequence."""
    chance: float
    """The induction score of attention spread evenly over all tokens so far."""
    unreadable: tuple[int, ...]
    """Layers that give no attention weights."""
    out_of_reach: tuple[int, ...]
    """Layers whose attention ends before the first occurrence, as its window is shorter."""


@dataclass
class _Reduction:
    """What is kept of each layer's weights: means over two of their diagonals."""

    n_prefix: int
    n_random: int
    induction: dict[int, Float[Tensor, " _heads"]] = field(default_factory=dict)
    previous: dict[int, Float[Tensor, " _heads"]] = field(default_factory=dict)

    def take(self, layer: int, weights: Float[Tensor, "heads queries keys"]) -> None:
        p, n = self.n_prefix, self.n_random
        if weights.shape[-2:] != (p + 2 * n, p + 2 * n):
            return  # no weight for each pair of tokens
        back = weights.diagonal(1 - n, -2, -1)  # from query i to key i − (n − 1)
        self.induction[layer] = back[:, p + 1 : p + n + 1].double().mean(-1).cpu()
        self.previous[layer] = weights.diagonal(-1, -2, -1)[:, p:].double().mean(-1).cpu()


def prefix_matching(
    loaded: LoadedModel,
    prefix: Sequence[int] | None = None,
    n_random: int = 50,
    n_seeds: int = 8,
    seed: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> PrefixMatching:
    """The scores on ``n_seeds`` sequences of ``n_random`` tokens after ``prefix``.

    ``prefix``: the ids kept before; None: those that a plain prompt keeps. Fewer tokens are used where the model reads
    fewer, or has fewer different ones.

    Raises:
        BadInput: no sequence, tokens too few to repeat or too many, or a model that cannot read two of them twice.
    """
    _check(n_random, n_seeds)
    kept = list(tokenize(loaded, Prompt(query="a"))[0].prefix if prefix is None else prefix)
    usable = is_text_token(loaded).nonzero()[:, 0]
    n = _as_reads(loaded, n_random, len(kept), len(usable))
    repeated: list[_Reduction] = []
    different: list[_Reduction] = []
    for number in range(n_seeds):
        on_progress("reading attention on random tokens", number, n_seeds)
        drawn = _draw(usable, 2 * n, seed + number)
        repeated.append(_run(loaded, kept, [*drawn[:n], *drawn[:n]]))
        different.append(_run(loaded, kept, drawn))
    read = sorted(repeated[0].induction)
    induction = _by_layer([of.induction for of in repeated])
    return PrefixMatching(
        induction=induction,
        previous=_by_layer([of.previous for of in repeated]),
        null=_by_layer([of.induction for of in different]),
        n_random=n,
        chance=sum(1 / (len(kept) + n + t + 1) for t in range(n)) / n,
        unreadable=tuple(layer for layer in range(loaded.n_layers) if layer not in read),
        out_of_reach=tuple(layer for layer in read if not induction[layer].any()),
    )


def _check(n_random: int, n_seeds: int) -> None:
    option_of("n_random").check(n_random)
    option_of("n_seeds").check(n_seeds)


def _as_reads(loaded: LoadedModel, n_random: int, n_prefix: int, n_usable: int) -> int:
    """As many random tokens as the model can read twice, and different ones for both halves.

    Raises:
        BadInput: that leaves fewer than two.
    """
    room = n_random if loaded.window is None else (loaded.window - n_prefix) // 2
    n = min(n_random, room, n_usable // 2)
    if n < LEAST:
        raise BadInput(
            f"no random tokens can be repeated: the model reads {loaded.window} tokens and knows {n_usable} that are "
            "text, and 4 of each are the least: choose another model"
        )
    return n


def _draw(usable: Int[Tensor, " _tokens"], n: int, seed: int) -> list[int]:
    """``n`` different ones, in random order."""
    chance = torch.Generator().manual_seed(seed)
    drawn: list[int] = usable[torch.randperm(len(usable), generator=chance)[:n]].tolist()
    return drawn


def _run(loaded: LoadedModel, prefix: list[int], tokens: list[int]) -> _Reduction:
    kept = _Reduction(len(prefix), len(tokens) // 2)
    with reading_attention(loaded, kept.take) as arguments:
        forward(loaded.model, [*prefix, *tokens], **arguments)
    return kept


def _by_layer(parts: list[dict[int, Float[Tensor, " _heads"]]]) -> Scores:
    return {layer: torch.stack([part[layer] for part in parts]) for layer in sorted(parts[0])}
