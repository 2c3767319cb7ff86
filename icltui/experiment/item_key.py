"""The key of one item of an experiment: what it asks of which weights, never who computes it or when.

Enters: the experiment's kind, the loaded model, what the item asks in plain JSON. Leaves: a hash in hexadecimal digits.
"""

import hashlib

import msgspec

from icltui import __version__
from icltui.values import ModelInfo

_BYTES = 16


def item_key(kind: str, model: ModelInfo, asked: object) -> str:
    """32 hexadecimal digits; equal for equal items on equal weights, whatever process asks.

    ``asked`` is anything that msgspec makes plain JSON of, such as token ids, texts, seeds and recipes.
    """
    what = (kind, __version__, model.fingerprint, model.revision, model.dtype, msgspec.to_builtins(asked))
    text = msgspec.json.encode(what, order="deterministic")
    return hashlib.blake2b(text, digest_size=_BYTES).hexdigest()
