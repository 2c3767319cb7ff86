"""Moments that were streamed once, kept in the platform's cache folder; at worst they are streamed again.

Enters: a key, made of a model and the very rows of tokens. Leaves: the moments, or None where the file is not
there or not whole. The files least recently used go when all of them together are larger than :data:`MOST_BYTES`.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from icltui.engine.hooks.out_of_memory import LOG
from icltui.engine.metric.metric import LayerMoments, Moments, OrdinaryMoments
from icltui.storage.atomic import leftover_prefix, remove_leftovers
from icltui.storage.paths import make_folder, shown, user_folder
from icltui.values.bounds import TOKENS
from icltui.values.errors import reason_of

VERSION = 1
"""Grows when names, meanings, or the way to the numbers change."""
MOST_BYTES = 10**9
Names = Collection[str]
"""The names of the sites in the file: ``3.z``, ``3.g``."""


def folder() -> Path:
    """Where the files are."""
    return user_folder("cache") / "moments"


def read_moments(key: str, names: Names) -> OrdinaryMoments | None:
    """The moments that were kept under ``key``; None, with a line in the log where a file is damaged."""
    path = folder() / f"{key}.safetensors"
    try:
        if not path.is_file():
            return None
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no mapping
        found = _moments(key, names, facts, tensors)
        with contextlib.suppress(OSError):
            os.utime(path)  # the files least recently used go first
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as error:
        LOG.warning(f"the moments of ordinary text in {shown(path)} are damaged ({error}): taking them anew")
        return None
    return found


def write_moments(key: str, made: OrdinaryMoments) -> int:
    """Keep the moments; returns the file's size in bytes, or 0, with a line in the log, where it cannot be written."""
    sites = {f"{layer}.{name}": m for layer, both in made.layers.items() for name, m in _named(both)}
    tensors = {f"{site}.vectors": moments.vectors for site, moments in sites.items()}
    tensors |= {f"{site}.values": moments.values for site, moments in sites.items()}
    facts = {
        "key": key,
        "n_tokens": made.n_tokens,
        "rest": {site: (m.rest, m.mean) for site, m in sites.items()},
    }
    path = folder() / f"{key}.safetensors"
    temporary = path.with_name(leftover_prefix() + secrets.token_hex(6))
    try:
        make_folder(path.parent)
        remove_leftovers(path.parent)
        try:
            save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})
            temporary.chmod(0o600)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        size = path.stat().st_size
        _evict(path)
    except (OSError, SafetensorError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        LOG.warning(
            f"the moments of ordinary text cannot be kept in {shown(path.parent)} ({reason}): going on"
        )
        return 0
    return size


def _moments(key: str, names: Names, facts: dict[str, Any], tensors: dict[str, Tensor]) -> OrdinaryMoments:
    """The moments of a file's content.

    Raises:
        LookupError, TypeError, ValueError: it is not what was written under ``key``.
    """
    if facts["key"] != key or not 0 < facts["n_tokens"] <= TOKENS:
        raise ValueError("it is of another model or text")
    sites = {name: _site(name, facts, tensors) for name in names}
    layers = {
        int(name.removesuffix(".z")): LayerMoments(z, sites.get(f"{name.removesuffix('.z')}.g"))
        for name, z in sites.items()
        if name.endswith(".z")
    }
    return OrdinaryMoments(layers, facts["n_tokens"])


def _site(name: str, facts: dict[str, Any], tensors: dict[str, Tensor]) -> Moments:
    vectors, values = tensors[f"{name}.vectors"], tensors[f"{name}.values"]
    rest, mean = map(float, facts["rest"][name])
    is_shaped = vectors.ndim == 2 and values.shape == vectors.shape[:1]
    if not is_shaped or vectors.dtype != torch.float32 or values.dtype != torch.float32:
        raise ValueError(f"its {name} has another shape")
    if not (
        vectors.isfinite().all() and (values >= 0).all() and values.isfinite().all() and 0 <= rest < torch.inf
    ):
        raise ValueError(f"its {name} is not of numbers")
    return Moments(vectors, values, rest, mean)


def _named(both: LayerMoments) -> list[tuple[str, Moments]]:
    return [("z", both.z), *([] if both.g is None else [("g", both.g)])]


def _evict(kept: Path) -> None:
    """Remove the files least recently used, but not ``kept``, until all are no larger than they may be."""
    files = [(path.stat(), path) for path in kept.parent.glob("*.safetensors")]
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda pair: pair[0].st_mtime):
        if total > MOST_BYTES and path != kept:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= stat.st_size
