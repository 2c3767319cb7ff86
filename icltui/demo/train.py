"""Train the embedded model from nothing but a seed.

Enters: a seed and a number of steps. Leaves: an ordinary Hugging Face folder with a Qwen3 model and a tokenizer.
Matrices are trained by Muon, the rest by AdamW, both on one cosine; rows grow from 128 to 1,024 tokens at
constant tokens per step, so that recall forms quickly and long contexts are still seen. torch has one thread, because
sums split over threads would make the weights depend on the machine.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

from icltui.demo import corpus
from icltui.storage.atomic import leftover_prefix, sync_folder
from icltui.values.errors import BadInput, reason_of

TOKENS_PER_STEP = 3072
STAGES = ((0.0, 128), (0.6, 256), (0.8, 1024))
"""(fraction of training at which the stage begins, tokens in a row)."""
MUON_RATE, ADAM_RATE = 2e-2, 3e-3
WARMUP_STEPS = 50
CHECKPOINT_RATIO = 2**0.5
"""Steps of a checkpoint over those of the one before: what changes early changes fast."""


def make_config(vocab_size: int, bos_token_id: int) -> Qwen3Config:
    """Six layers of width 128: 1.3 million parameters."""
    return Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=bos_token_id,
        eos_token_id=bos_token_id,
        pad_token_id=bos_token_id,
    )


def row_length(progress: float) -> int:
    """Tokens in a row when ``progress`` (0 to 1) of the steps are done."""
    return [length for begin, length in STAGES if progress >= begin][-1]


def batches(seed: str, tokenizer: Tokenizer, n_steps: int) -> Iterator[Tensor]:
    """``n_steps`` batches of ids, shape (rows, length), with rows × length = ``TOKENS_PER_STEP``."""
    stream = corpus.documents(seed)
    for step in range(n_steps):
        length = row_length(step / n_steps)
        rows = corpus.rows(tokenizer, stream, length)
        yield torch.tensor([next(rows) for _ in range(TOKENS_PER_STEP // length)])


def make_optimizers(model: Qwen3ForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings and gains."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate(step: int, n_steps: int) -> float:
    """Share of the full learning rate: linear warm-up, then a cosine to zero."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / n_steps))


def checkpoint_steps(n_steps: int) -> tuple[int, ...]:
    """Numbers of finished steps at which a checkpoint is kept: 0, then powers of √2, and the last.

    >>> checkpoint_steps(20)
    (0, 1, 2, 3, 4, 6, 8, 11, 16, 20)
    """
    n_powers = math.floor(math.log(n_steps, CHECKPOINT_RATIO)) + 1
    return tuple(sorted({0, n_steps, *(round(CHECKPOINT_RATIO**k) for k in range(n_powers))}))


def save_checkpoint(folder: Path, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """The model as it is, in a folder that is there whole or not at all.

    Raises:
        BadInput: it cannot be written, or something else is there.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=leftover_prefix(), dir=folder.parent) as temporary:
            (whole := Path(temporary) / folder.name).mkdir()
            model.save_pretrained(whole)
            tokenizer.save_pretrained(whole)
            os.rename(whole, folder)
        sync_folder(folder.parent)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"cannot keep the checkpoint {str(folder)!r}: {reason_of(error)}") from error


def train(
    folder: Path,
    seed: int = 0,
    n_steps: int = 4500,
    n_tokenizer_documents: int = 20_000,
    on_step: Callable[[int, float], None] = lambda _step, _loss: None,
    checkpoints: Path | None = None,
) -> None:
    """Train and save to ``folder``; ``on_step(step, loss)`` is called after every step, with the loss in nats.

    ``checkpoints`` is a folder that gets a model ``step-N`` after each of :func:`checkpoint_steps`; None: none is kept.
    """
    if not hasattr(torch.optim, "Muon"):
        raise BadInput(f"torch {torch.__version__} has no Muon optimizer: training needs torch 2.9 or newer")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    logging.disable_progress_bar()
    backend = corpus.train_tokenizer(f"tokenizer/{seed}", n_tokenizer_documents)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=corpus.BOS, eos_token=corpus.BOS, pad_token=corpus.BOS
    )
    model = Qwen3ForCausalLM(make_config(len(tokenizer), tokenizer.bos_token_id)).train()
    optimizers = make_optimizers(model)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, n_steps))
        for optimizer in optimizers
    ]
    kept = frozenset(checkpoint_steps(n_steps)) if checkpoints is not None else frozenset()

    def keep(n_done: int) -> None:
        if checkpoints is not None and n_done in kept:
            save_checkpoint(checkpoints / f"step-{n_done}", model, tokenizer)

    keep(0)
    for step, ids in enumerate(batches(f"train/{seed}", backend, n_steps)):
        logits = model(ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        on_step(step, loss.item())
        keep(step + 1)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
