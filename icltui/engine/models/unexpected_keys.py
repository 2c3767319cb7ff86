"""Which unexpected keys of a checkpoint may be weights, and which are constants that old architectures saved.

Enters: the names of stored tensors that the model does not have. Leaves: those that could have been learned. Some
constants are known by their values: a triangle of two numbers (a causal mask), one number no larger than −1000 (masked
scores), 0, 1, 2 … (positions); others by name and values: falling frequencies, tables of sines and cosines. A buffer of
that name that the model does not save is no weight either.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Shaped
from safetensors import safe_open
from torch import Tensor, nn

from icltui.engine.models.stored_tensors import read_pickle

LARGEST_MASK_VALUE = -1e3
"""Masked scores are set to a number no larger than this."""
_WAVES = re.compile(r"(^|_)(cos|sin)($|_)|^embed_positions$")


def learned_keys(names: Iterable[str], model: nn.Module, files: Sequence[Path]) -> list[str]:
    """Those of ``names`` that may be weights, sorted; ``files`` hold the checkpoint."""
    made_anew = {name for name, _ in model.named_buffers()} - model.state_dict().keys()
    left = sorted(set(names) - made_anew)
    constants = {name for name, tensor in _stored(files, left) if is_constant(name, tensor)}
    return [name for name in left if name not in constants]


def is_constant(name: str, tensor: Shaped[Tensor, "..."]) -> bool:
    """Whether the stored tensor holds nothing that was learned."""
    own = name.rpartition(".")[2]
    return (
        _is_triangle(tensor)
        or _is_mask_value(tensor)
        or _counts(tensor)
        or ("freq" in own and _falls(tensor))
        or (_WAVES.search(own) is not None and _are_waves(tensor))
    )


def _is_triangle(tensor: Tensor) -> bool:
    """Whether ``tensor`` is (1, …, 1, n, n): one number on and below the diagonal, another above it."""
    n = tensor.shape[-1] if tensor.ndim >= 2 else 0
    if n < 2 or tensor.numel() != n * n:
        return False
    square = tensor.reshape(n, n)
    below, above = square[0, 0], square[0, -1]
    wanted = torch.where(torch.ones_like(square, dtype=torch.bool).tril(), below, above)
    return bool(below != above) and torch.equal(square, wanted)


def _is_mask_value(tensor: Tensor) -> bool:
    return tensor.numel() == 1 and float(tensor) <= LARGEST_MASK_VALUE


def _counts(tensor: Tensor) -> bool:
    """Whether ``tensor`` is one row of whole numbers 0, 1, 2 …, two at least."""
    is_row = tensor.numel() == (tensor.shape[-1] if tensor.ndim else 0) > 1
    is_whole = not tensor.is_floating_point() and tensor.dtype != torch.bool
    return is_row and is_whole and torch.equal(tensor.flatten().long(), torch.arange(tensor.numel()))


def _falls(tensor: Tensor) -> bool:
    """Whether ``tensor`` is one row that falls towards 0, to which its smallest numbers may be rounded."""
    row = tensor.double()
    return row.ndim == 1 and bool((row >= 0).all() and row[:1].sum() > 0 and (row.diff() <= 0).all())


def _are_waves(tensor: Tensor) -> bool:
    """Whether ``tensor`` is (1, …, 1, positions, width), and position 0 holds nothing but zeros and crests."""
    if tensor.ndim < 2 or tensor.numel() != tensor.shape[-1] * tensor.shape[-2] or not tensor.numel():
        return False
    table = tensor.reshape(tensor.shape[-2:]).double()
    crest = table.abs().max()
    return bool(((table[0] == 0) | (table[0] >= 0.99 * crest)).all())


def _stored(files: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Each of ``names`` with its tensor, one in memory at a time; a name in a file may lack, or have, a prefix."""
    wanted = {suffix: name for name in names for suffix in _suffixes(name)}
    for file in files if names else ():
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as opened:
                for own in opened.keys():  # noqa: SIM118 -- no mapping
                    if name := _match(own, wanted):
                        yield name, opened.get_tensor(own)
        else:
            for own, tensor in read_pickle(file, "cpu").items():
                if name := _match(own, wanted):
                    yield name, tensor


def _match(own: str, wanted: Mapping[str, str]) -> str | None:
    return next((wanted[suffix] for suffix in _suffixes(own) if suffix in wanted), None)


def _suffixes(name: str) -> Iterator[str]:
    """The name, and what is left of it without its first parts, as long as a layer's number is among the rest.

    >>> list(_suffixes("model.layers.3.mlp.bias"))
    ['model.layers.3.mlp.bias', 'layers.3.mlp.bias', '3.mlp.bias']
    """
    parts = name.split(".")
    for first in range(len(parts)):
        if any(part.isdigit() for part in parts[first:]):
            yield ".".join(parts[first:])
