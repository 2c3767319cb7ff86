"""Tiny models as folders, and the ways in which their layers lie on devices.

A folder is loaded as a user's is; a layout is the device map that ``--device`` or ``--device-map`` would have made.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from icltui.api.messages import LoadModel
from icltui.engine.hooks.find_sites import find_sites
from icltui.engine.models import load as load_module
from icltui.engine.patch import alpha_search
from icltui.zoo.families import SITE_PATHS
from icltui.zoo.tiny_model import build
from tests.engine.small_models import make_tokenizer

Layout = Literal["cpu", "one", "second", "spread", "offload", "mixed"]
"""All on ``ghost:0``; all on ``ghost:1``; the upper half on ``ghost:1``, or at rest in main memory; some of each."""
UPPER: Mapping[Layout, tuple[str, ...]] = {
    "spread": ("ghost:1",),
    "offload": ("cpu",),
    "mixed": ("ghost:1", "cpu"),
}
"""Where the upper blocks are, one after the other."""
OFFLOADED: tuple[Layout, ...] = ("offload", "mixed")


def save_tiny(family: str, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A random model of the zoo with a tokenizer of bytes, saved as a user would have it."""
    build(family, dtype).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def request_for(family: str, folder: Path, layout: Layout, dtype: str = "float32") -> LoadModel:
    """What loads the folder; inside :func:`laid_out` it follows the layout."""
    device = {"cpu": "cpu", "second": "ghost:1"}.get(layout, "ghost:0")
    return LoadModel(model=str(folder), device=device, dtype=dtype, sites=SITE_PATHS.get(family, {}))


@contextmanager
def laid_out(family: str, layout: Layout) -> Iterator[None]:
    """Models load with the layout's device map inside the block."""
    if layout == "cpu":
        with (
            patch.object(load_module, "_read", partial(_aligned, load_module._read)),
            patch.object(alpha_search, "_derivative", partial(_watched, alpha_search._derivative)),
        ):
            yield
        return
    if layout in ("one", "second"):
        yield
        return
    found = device_map(family, UPPER[layout])
    with patch.object(load_module, "_device_map", lambda _request, _device: {"device_map": found}):
        yield


def _aligned(read: Any, *args: Any) -> Any:
    """A model whose weights begin where memory is handed out, as on a device.

    A mapped file's do not, and some kernels sum in another order there.
    """
    model = read(*args)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    return model


class Watching(TorchDispatchMode):
    """Changes nothing, but torch differentiates as it does for tensors of a class that is not its own.

    Forward in a norm it then multiplies in another order (``_invstd_jvp`` in its FunctionsManual.cpp: out of place), so
    that the last digit may differ.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **kwargs or {})


def _watched(derivative: Any, *args: Any) -> Any:
    with Watching():
        return derivative(*args)


def device_map(family: str, upper: Sequence[str]) -> dict[str, str]:
    """The upper half of the blocks at ``upper``, and what comes after them where nothing ties it to the embedding."""
    model = build(family)
    sites, refused = find_sites(model, SITE_PATHS.get(family))
    names = {id(module): name for name, module in model.named_modules()}
    stack = names[id(sites[0].block)].rpartition(".")[0]
    n_blocks = len(sites) + len(refused)
    half = n_blocks // 2
    places = {f"{stack}.{n}": "ghost:0" for n in range(half)}
    places |= {f"{stack}.{n}": upper[(n - half) % len(upper)] for n in range(half, n_blocks)}
    is_tied = bool(getattr(model, "all_tied_weights_keys", None))
    after = False
    for name, module in model.named_modules():
        after = after or name == stack
        is_leaf = bool(name) and not any(other.startswith(f"{name}.") for other in names.values())
        if is_leaf and not name.startswith(f"{stack}."):
            is_own = any(True for _ in module.parameters()) and not is_tied
            places[name] = upper[0] if after and is_own and name != stack else "ghost:0"
    return places
