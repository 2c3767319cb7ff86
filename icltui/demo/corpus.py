"""The embedded model's corpus: an endless stream of documents, and rows of token ids packed from it.

A seed enters; text (:func:`documents`, :func:`background`), a tokenizer trained on it (:func:`train_tokenizer`) and
rows of ids (:func:`rows`) leave. All of it depends on the seed alone.
"""

import itertools
import random
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from icltui.demo.task_families import FAMILIES

BOS = "<|bos|>"
"""The first token of every document and, by the tokenizer, of every prompt: the kept prefix."""


def document(rng: random.Random) -> str:
    """A document of a random family with a fresh mapping; most are short, some long."""
    names = list(FAMILIES)
    (name,) = rng.choices(names, [FAMILIES[n][0] for n in names])
    n_questions = rng.choice((1, 2, 4, 8, 8, 16, 48))
    return FAMILIES[name][1](rng).document(rng, n_questions)


def documents(seed: str) -> Iterator[str]:
    """The endless stream that belongs to ``seed``."""
    rng = random.Random(seed)
    while True:
        yield document(rng)


def background(n_documents: int = 300) -> str:
    """What is ordinary to the embedded model: documents of no training seed, as a background text holds them."""
    return "\f".join(itertools.islice(documents("background"), n_documents))


def train_tokenizer(seed: str, n_documents: int = 20_000, vocab_size: int = 1024) -> Tokenizer:
    """A byte-level BPE tokenizer for any text: each digit is a token, ``BOS`` comes first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(itertools.islice(documents(seed), n_documents), trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A $B:1",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    return tokenizer


def rows(tokenizer: Tokenizer, stream: Iterator[str], length: int) -> Iterator[list[int]]:
    """Rows of exactly ``length`` ids: documents one after another, each with ``BOS`` before it.

    A row starts with a document's start; its last document is cut where the row ends.
    """
    while True:
        row: list[int] = []
        while len(row) < length:
            row += tokenizer.encode(next(stream)).ids
        yield row[:length]
