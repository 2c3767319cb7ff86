"""The model that the methods run on, and prompts of an exact number of tokens.

:class:`RaceSettings` enter; a :class:`BenchModel` in float32 leaves, and from it a :class:`TokenPrompt` of each size.
Unless another is named, the model is a Llama of 6 layers and width 384 with random weights, whose tokens are bytes: its
speed does not depend on the weights.
"""

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from icltui.api.messages import CountTokens, LoadModel, PromptTokenized
from icltui.engine.local import LocalEngine
from icltui.engine.models.device import pick_device
from icltui.engine.models.loaded_model import wrap_model
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt

RANDOM_LLAMA: dict[str, int] = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "vocab_size": 8192,
    "max_position_embeddings": 32768,
}

WARM_UP = (8, 2)
"""The size that each method runs once before its time counts."""
Size = tuple[int, int]
"""n context and q query tokens."""


@dataclass(frozen=True)
class RaceSettings:
    """The subject of the timing, and its number of repeats."""

    model: str | None = None
    """Hugging Face id or folder; None: the random Llama."""
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
    name: str
    model: Any
    tokenizer: Any
    layers: tuple[Any, ...]
    """The decoder's blocks; each has ``mlp.gate_proj`` and ``mlp.up_proj``."""

    @property
    def matrices(self) -> list[tuple[Tensor, Tensor]]:
        """The matrices that read z, at each layer."""
        return [(layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight) for layer in self.layers]

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


def load_bench_model(settings: RaceSettings) -> BenchModel:
    """The model that ``settings`` names, loaded, with torch's threads set.

    Raises:
        BadInput: no such device, or blocks unlike Llama's, which the public methods are not written for.
        ModelError: the model could not be loaded.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    if settings.model is None:
        engine = _random_llama(settings.device)
    else:
        engine = LocalEngine()
        request = LoadModel(model=settings.model, dtype="float32", device=settings.device)
        for _ in engine.run(request, lambda: False):
            pass
    assert engine.loaded is not None
    assert engine.info is not None
    model = engine.loaded.model
    layers = tuple(getattr(model.get_decoder(), "layers", ()))
    alike = all(
        hasattr(getattr(layer, "mlp", None), name) for layer in layers for name in ("gate_proj", "up_proj")
    )
    if not (layers and alike) or engine.info.refused:
        raise BadInput(
            f"model {engine.info.name!r} is not built as Llama is, layers with mlp.gate_proj and mlp.up_proj: "
            "give another --model, or none"
        )
    return BenchModel(engine, engine.info.name, model, engine.loaded.tokenizer, layers)


def _random_llama(device: str) -> LocalEngine:
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**RANDOM_LLAMA)).requires_grad_(False)
        for gain in (parameter for parameter in model.parameters() if parameter.ndim == 1):
            gain.normal_(1.0, 0.5)  # with all ones, ‖z‖ and h would not depend on the context
    size = "{num_hidden_layers} layers, width {hidden_size}".format_map(RANDOM_LLAMA)
    loaded = wrap_model(
        model.to(pick_device(device)), _byte_tokenizer(RANDOM_LLAMA["vocab_size"]), f"random Llama, {size}"
    )
    return LocalEngine(loaded, loaded.describe("packed"))


def _byte_tokenizer(n_tokens: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are bytes; no text has the rest of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    unused = [f"<{index}>" for index in range(len(alphabet), n_tokens)]
    bytes_only = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate([*alphabet, *unused])}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bytes_only.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=bytes_only)


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
