"""The moments of ordinary text on a model: those in memory, else those kept in a file, else streamed anew.

Enters: a loaded model and a background. Leaves: :class:`~icltui.engine.metric.metric.OrdinaryMoments` of every layer.
"""

import hashlib
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import nn

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.site import Site
from icltui.engine.metric.background import Background, BackgroundRow, rows
from icltui.engine.metric.metric import OrdinaryMoments
from icltui.engine.metric.moments_file import VERSION, read_moments, write_moments
from icltui.engine.metric.stream import RANK, WIDEST, n_bytes, stream_moments
from icltui.engine.models.device import free_bytes
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.loaded_model import LoadedModel
from icltui.text.units import in_bytes
from icltui.values.errors import BadInput

_LAST: WeakKeyDictionary[nn.Module, tuple[Background, OrdinaryMoments]] = WeakKeyDictionary()
"""The moments last asked for, by model."""


def ordinary_moments(
    loaded: LoadedModel, background: Background, on_progress: ProgressCallback = ignore_progress
) -> OrdinaryMoments:
    """The moments of the text at every layer of the model.

    Raises:
        BadInput: a text of too few tokens, or memory that does not suffice.
    """
    last = _LAST.get(loaded.model)
    if last is not None and last[0] == background:
        return last[1]
    _LAST.pop(loaded.model, None)  # so that two are never in memory
    on_progress("reading ordinary text", 0, 0)
    ours = rows(loaded, background)
    key, names = _key(loaded, ours), _names(loaded.sites)
    made = read_moments(key, names)
    if made is None:
        _check_memory(loaded)
        with torch.no_grad():
            made = stream_moments(loaded, loaded.sites, ours, on_progress)
        if size := write_moments(key, made):
            on_progress(f"kept the moments of ordinary text, {in_bytes(size)}")
    _LAST[loaded.model] = background, made
    return made


def _key(loaded: LoadedModel, ours: Sequence[BackgroundRow]) -> str:
    """What the moments depend on: weights, precision, the sites' modules, and the tokens that the text is here."""
    sites = [
        (s.layer, s.residual, [p.name for p in s.input_projections], _name(s.down_proj)) for s in loaded.sites
    ]
    text = [(row.ids, row.n_kept) for row in ours]
    parts = (VERSION, RANK, WIDEST, fingerprint(loaded.model), str(loaded.dtype), sites, text)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _name(module: nn.Module | None) -> str:
    return "" if module is None else type(module).__name__


def _names(sites: Sequence[Site]) -> list[str]:
    """The sites' names in a file."""
    z = [f"{site.layer}.z" for site in sites]
    return z + [f"{site.layer}.g" for site in sites if site.down_proj is not None]


def _check_memory(loaded: LoadedModel) -> None:
    """Refuse sums that the memory cannot hold, before the text is read.

    Raises:
        BadInput: with the way out.
    """
    hidden = int(loaded.model.get_input_embeddings().weight.shape[1])
    inner = [_n_inputs(site.down_proj) for site in loaded.sites if site.down_proj is not None]
    needed = sum(map(n_bytes, inner)) + n_bytes(hidden) * len(loaded.sites)
    if needed > (free := free_bytes(loaded.device)):
        raise BadInput(
            f"the metric of ordinary text needs {in_bytes(needed)} beside this model and {in_bytes(free)} are free: "
            "give --metric plain, or a smaller model"
        )


def _n_inputs(module: nn.Module) -> int:
    """The width of a matrix's input."""
    width = getattr(module, "in_features", None)
    return int(width if width is not None else getattr(module, "weight").shape[0])  # noqa: B009 -- of a Conv1D
