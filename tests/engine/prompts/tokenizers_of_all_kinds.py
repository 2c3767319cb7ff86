"""A small tokenizer of every kind, trained on a few lines; no model is needed beside them."""

from collections.abc import Callable
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers as train
from transformers import PreTrainedTokenizerFast

from icltui.engine.models.loaded_model import LoadedModel

_LINES = ["The cat of Fra nce.\n\n  def f():\n    return  x; ", "日本 naïve é e\u0301 ﬁ ½ a\tb  c 한국 "] * 4
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _byte_level(
    trim: bool = False, prefix: bool = False, normalizer: Any = None, post: Any = None
) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    made.decoder = decoders.ByteLevel()
    made.post_processor = post or processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix)
    if normalizer is not None:
        made.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = train.BpeTrainer(
        vocab_size=360, special_tokens=["<unk>", "<s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_LINES, trainer)
    return made


def _merged(trim: bool) -> Tokenizer:
    """Whose tokens end in spaces, and are nothing but spaces."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "Ġ"), ("Ċ", "ĠĠ"), ("ĊĠĠ", "Ġ"), ("a", "ĠĠ"), (";", "Ġ")]
    names = ["<unk>", "<s>", *letters, *("".join(pair) for pair in merges)]
    made = Tokenizer(models.BPE({name: k for k, name in enumerate(names)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=trim)
    return made


def _bpe(**over: Any) -> Tokenizer:
    made = Tokenizer(models.BPE(unk_token="<unk>", **over))
    special = ["<unk>", "<s>", *(_BYTES if over.get("byte_fallback") else [])]
    made.train_from_iterator(
        [line.replace(" ", "▁") for line in _LINES],
        train.BpeTrainer(vocab_size=90 + len(special), special_tokens=special, show_progress=False),
    )
    return made


def _metaspace(scheme: str, split: bool = True) -> Tokenizer:
    made = _bpe()
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return made


def _legacy(**over: Any) -> Tokenizer:
    """As SentencePiece's BPE was converted: spaces are put in and replaced by normalizers."""
    made = _bpe(**over)
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def _word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = train.WordPieceTrainer(vocab_size=90, special_tokens=["<unk>", "<s>"], show_progress=False)
    made.train_from_iterator(_LINES, trainer)
    made.post_processor = processors.BertProcessing(("<s>", 1), ("<s>", 1))
    return made


def _unigram(normalizer: Any, scheme: str = "always") -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = train.UnigramTrainer(
        vocab_size=80, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(_LINES, trainer)
    return made


_COLLAPSING = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
_TRIMMING = processors.ByteLevel(trim_offsets=True)
_FRONT = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
KINDS: dict[str, Callable[[], Tokenizer]] = {
    "bytes": _byte_level,
    "bytes, prefix": lambda: _byte_level(prefix=True),
    "bytes, trimmed": lambda: _byte_level(trim=True),
    "bytes, prefix, trimmed": lambda: _byte_level(trim=True, prefix=True),
    "bytes, trimmed behind a BOS": lambda: _byte_level(post=processors.Sequence([_TRIMMING, _FRONT])),
    "bytes, trimmed by RoBERTa's": lambda: _byte_level(
        post=processors.RobertaProcessing(("<s>", 1), ("<s>", 1), trim_offsets=True, add_prefix_space=False)
    ),
    "bytes of spaces": lambda: _merged(False),
    "bytes of spaces, trimmed": lambda: _merged(True),
    "bytes, NFC": lambda: _byte_level(normalizer=normalizers.NFC()),
    "bytes, NFKC": lambda: _byte_level(normalizer=normalizers.NFKC()),
    "bytes, NFKD": lambda: _byte_level(normalizer=normalizers.NFKD()),
    "Metaspace first": lambda: _metaspace("first"),
    "Metaspace always": lambda: _metaspace("always"),
    "Metaspace never": lambda: _metaspace("never"),
    "Metaspace first, not split": lambda: _metaspace("first", split=False),
    "legacy": _legacy,
    "legacy, byte fallback": lambda: _legacy(byte_fallback=True, fuse_unk=True),
    "WordPiece": _word_piece,
    "Unigram": lambda: _unigram(normalizers.Replace(" ", " ")),
    "Unigram, NFKC, collapsing": lambda: _unigram(_COLLAPSING),
    "Unigram, stripping": lambda: _unigram(normalizers.Sequence([_COLLAPSING, normalizers.Strip()]), "first"),
}
TWINS = {
    "bytes, trimmed": "bytes",
    "bytes, prefix, trimmed": "bytes, prefix",
    "bytes of spaces, trimmed": "bytes of spaces",
}
"""Kinds that differ in nothing but whether spaces are cut off the offsets."""


@cache
def of_kind(kind: str) -> LoadedModel:
    """With added tokens that take the spaces around them, and one that takes none."""
    made = KINDS[kind]()
    made.add_tokens([AddedToken("<w>", lstrip=True, rstrip=True), AddedToken("<n>", normalized=False)])
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", unk_token="<unk>")
    return LoadedModel(None, fast, (), kind, None, None)
