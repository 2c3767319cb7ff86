"""The model that the methods run on, and prompts of an exact number of tokens.

:class:`RaceSettings` enter; a :class:`BenchModel` leaves, and from it a :class:`TokenPrompt` of each size. Unless
another is named, the model is of a shape of :mod:`icltui.bench.model_shapes` with random weights, whose tokens are
bytes: its speed does not depend on the weights.
"""

import random
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from icltui.api.messages import CountTokens, LoadModel, PromptTokenized
from icltui.bench.model_shapes import SMALL, random_model
from icltui.engine.hooks.site import InputProjection, Site
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

WARM_UP = (8, 2)
"""The size that each method runs once before its time counts."""
Size = tuple[int, int]
"""n context and q query tokens."""


@dataclass(frozen=True)
class RaceSettings:
    """The subject of the timing, and its number of repeats."""

    model: str | None = None
    """Hugging Face id or folder; None: a random model of ``shape``."""
    shape: str = SMALL
    """The name of a shape of :data:`icltui.bench.model_shapes.SHAPES`."""
    dtype: str = "float32"
    device: str = "cpu"
    threads: int | None = None
    """Threads of torch on the CPU; None: torch's own choice."""
    context_sizes: tuple[int, ...] = (64, 256, 1024)
    query_sizes: tuple[int, ...] = (1, 4, 16)
    repeat: int = 3
    limit: float = 120.0
    """Seconds per run beyond which a method is left out at a size."""
    memory: bool = True
    """Whether each method also runs in a fresh process for its peak memory."""
    decode: int = 64
    """Tokens that every lane decodes."""
    cpu_time: bool = False
    """Whether the process's CPU time counts, not the clock: for one thread, on a machine that others use too."""

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds since some moment."""
        return time.process_time if self.cpu_time else time.perf_counter


@dataclass(frozen=True)
class TokenPrompt:
    """A prompt as text, for our engine, and as ids, for the other methods."""

    prompt: Prompt
    prefix: tuple[int, ...]
    context: tuple[int, ...]
    query: tuple[int, ...]
    begin: int = 1
    """The first prefix after the empty one that is run; above 1 where only the longest matter."""

    @property
    def n(self) -> int:
        return len(self.context)

    @property
    def q(self) -> int:
        return len(self.query)

    def row(self, prefix: int) -> list[int]:
        """The ids of the prompt whose context is only its first ``prefix`` tokens."""
        return [*self.prefix, *self.context[:prefix], *self.query]

    def longest(self, count: int) -> "TokenPrompt":
        """This prompt with only its ``count`` longest prefixes, which need the most memory."""
        return replace(self, begin=max(1, self.n + 1 - count))


@dataclass(frozen=True)
class BenchModel:
    """A model for our engine, and its modules for the methods that hook them."""

    engine: LocalEngine
    loaded: LoadedModel
    clock: Callable[[], float] = time.perf_counter

    @property
    def name(self) -> str:
        return self.loaded.name

    @property
    def model(self) -> Any:
        return self.loaded.model

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites of every layer, of which each shows the matrices that read z."""
        return self.loaded.sites

    @property
    def matrices(self) -> list[list[Tensor]]:
        """The matrices that read z, (inner, hidden), at each layer."""
        return [[_matrix(projection) for projection in site.input_projections] for site in self.sites]

    def prompt(self, n: int, q: int) -> TokenPrompt:
        """A prompt of ``n`` context and ``q`` query tokens.

        Raises:
            BadInput: no text of so many tokens is found for this tokenizer.
        """
        for context, query in _texts(n, q):
            prompt = Prompt(context=context, query=query)
            for event in self.engine.run(CountTokens(prompt=prompt), lambda: False):
                assert isinstance(event, PromptTokenized)
                parts = event.tokens.prefix, event.tokens.context, event.tokens.query
                prefix, context_ids, query_ids = (tuple(token.id for token in part) for part in parts)
                if (len(context_ids), len(query_ids)) == (n, q):
                    return TokenPrompt(prompt, prefix, context_ids, query_ids)
        raise BadInput(f"model {self.name!r} has a tokenizer that cuts no text of ours into {n} + {q} tokens")


def _matrix(projection: InputProjection) -> Tensor:
    weight: Tensor = getattr(projection.module, projection.parameter)
    return weight.T if projection.transposed else weight


def load_bench_model(settings: RaceSettings) -> BenchModel:
    """The model that ``settings`` names, loaded, with torch's threads set.

    Raises:
        BadInput: no such device or shape, or a model that the public methods are not written for.
        ModelError: the model could not be loaded.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    engine = LocalEngine()
    if settings.model is None:
        loaded = random_model(settings.shape, settings.dtype, settings.device)
        engine = LocalEngine(loaded, loaded.describe("packed"))
    else:
        request = LoadModel(model=settings.model, dtype=settings.dtype, device=settings.device)
        for _ in engine.run(request, lambda: False):
            pass
    assert engine.loaded is not None
    return BenchModel(engine, _plainly_built(engine.loaded), settings.clock)


def _plainly_built(loaded: LoadedModel) -> LoadedModel:
    """The model itself.

    Raises:
        BadInput: the matrices of some layer are not known, or are experts.
    """
    projections = [p for site in loaded.sites for p in site.input_projections]
    if loaded.refused or any(p.experts is not None for p in projections):
        raise BadInput(
            f"model {loaded.name!r} has layers that the other methods are not written for, experts or refused ones: "
            "give another --model, or none"
        )
    return loaded


def _texts(n: int, q: int) -> Iterator[tuple[str, str]]:
    """Contexts and queries that one tokenizer or another cuts into n and q tokens."""
    chance = random.Random(0)
    words = (
        " the of and to in is it was for on are as with his they at be this from have or by one had".split(
            " "
        )[1:]
    )
    for pieces in (string.ascii_lowercase, [f" {word}" for word in words]):
        yield "".join(chance.choices(pieces, k=n)), "".join(chance.choices(pieces, k=q))
