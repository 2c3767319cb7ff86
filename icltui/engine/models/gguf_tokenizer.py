"""How the tokenizer of a GGUF file splits a text into words, where transformers does not know the file's rule.

Enters: a header, and the tokenizer that transformers makes of the file. Leaves: the tokenizer, which splits as
llama.cpp does. A byte-level vocabulary names its rule in ``tokenizer.ggml.pre``; transformers 5.23 knows 23 rules and
takes GPT-2's for the others, which joins a space and a digit that SmolLM2 keeps apart.
"""

from typing import Any

from tokenizers import pre_tokenizers

from icltui.engine.models.gguf_header import GgufHeader

_DIGITS_APART = frozenset(("codeshell", "command-r", "exaone", "minerva-7b", "refact", "smollm", "starcoder"))
"""Rules of llama.cpp by which each digit is a word, and the rest is split as by GPT-2."""
_LIKE_GPT_2 = frozenset(
    "a.x-4.0 gigachat gpt-2 granite-docling jais jina-es mellum mpt olmo phi-2 trillion".split()
)


def split_as_file(header: GgufHeader, tokenizer: Any) -> None:
    """Give the tokenizer the file's rule, where that is one of a digit at a time."""
    if header.text("tokenizer.ggml.model") == "gpt2" and header.text("tokenizer.ggml.pre") in _DIGITS_APART:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )


def unknown_split(header: GgufHeader) -> str:
    """The name of the file's rule, where GPT-2's is taken for want of it; empty where it is known."""
    try:
        from transformers.integrations.gguf import gguf_tokenizer_mapping as mapping
    except ImportError:  # before version 5.20
        mapping = None
    rule = header.text("tokenizer.ggml.pre") or "default"
    is_known = rule in _DIGITS_APART | _LIKE_GPT_2 or rule in getattr(
        mapping, "GGUF_PRE_TOKENIZER_SPLITS", ()
    )
    return "" if is_known or header.text("tokenizer.ggml.model") != "gpt2" else rule
