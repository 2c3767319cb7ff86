"""The engine on a model that the user holds, which it leaves exactly as it was.

Enters: a ``PreTrainedModel`` and its tokenizer in memory, or a model's name. Leaves: an engine, while a ``with`` block
lasts. The engine works on a copy of the model's modules over the same weights, so that nothing is set on the user's own
and every number is of the weights as they are at the moment. What was proved of a model is remembered with it, and
proved anew where its weights, dtype, device, modules, hooks or settings are others.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from icltui.api.engine import OnEvent
from icltui.api.messages import LoadModel, Progress
from icltui.api.option_table import without_flags
from icltui.api.progress_callback import ProgressCallback
from icltui.api.run_to_result import load
from icltui.engine.hooks.out_of_memory import is_out_of_memory, shortage_error
from icltui.engine.hooks.site import Residual, Site
from icltui.engine.local import LocalEngine, try_out
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.engine.models.merged_adapters import adapter_state
from icltui.engine.models.shared_copy import copy_sharing_weights
from icltui.notebook.acting_patches import check_unpatched
from icltui.notebook.process_settings import keeping_process_settings
from icltui.notebook.unwrap import check_order, check_tokenizer, unwrap
from icltui.values import ModelInfo
from icltui.values.errors import BadInput, IcltuiError


@contextmanager
def engine_on(
    model: Any,
    tokenizer: Any = None,
    sites: Mapping[str, str] | None = None,
    on_event: OnEvent = lambda _event: None,
) -> Iterator[LocalEngine]:
    """The engine on ``model``: one of transformers, or a model's name or folder, which need no tokenizer.

    ``sites`` names modules that cannot be found, as ``--site`` does: ``{"mlp": "model.layers.{layer}.mlp"}``.

    Raises:
        BadInput: something that is no model or no tokenizer, or a path that the model does not have.
        ModelError: a model that no proof accepts, or that cannot be loaded.
        OutOfMemory: the memory does not suffice.
    """
    check_order(model, tokenizer)
    if sites is not None and not isinstance(sites, Mapping):
        raise BadInput(
            f"sites is {sites!r}: give modules by name, such as {{'mlp': 'model.layers.{{layer}}.mlp'}}"
        )
    with keeping_process_settings():
        try:
            if isinstance(model, str | PathLike):
                engine = _named(LoadModel(model=fspath(model), sites=dict(sites or {})), on_event)
            else:
                engine = _held(model, tokenizer, dict(sites or {}), on_event)
            yield engine
        except IcltuiError as error:
            error.args = (without_flags(str(error)),)
            raise
        except RuntimeError as error:  # as torch's own is
            if not is_out_of_memory(error):
                raise
            raise shortage_error(error) from None


def own_sites(model: Any, loaded: LoadedModel) -> tuple[Site, ...]:
    """The sites of ``loaded``, which is what an engine on ``model`` holds, in ``model`` itself: for hooks that stay."""
    names = {module: name for name, module in loaded.model.named_modules()}
    own = unwrap(model)

    def there(module: Any) -> Any:
        return None if module is None else own.get_submodule(names[module])

    return tuple(
        replace(
            site,
            **{
                part: there(getattr(site, part))
                for part in ("block", "mlp", "norm", "attention", "down_proj")
            },
            siblings=tuple(map(there, site.siblings)),
            input_projections=tuple(replace(p, module=there(p.module)) for p in site.input_projections),
        )
        for site in loaded.sites
    )


@dataclass(frozen=True)
class _Proof:
    """What was found out about a model once, without any tensor or module of it."""

    seal: tuple[object, ...]
    tokenizer: Any
    info: ModelInfo
    residuals: Mapping[int, Residual]
    """The source of v at each usable layer."""
    facts: Mapping[str, Any]
    """Further fields of the :class:`LoadedModel`."""
    use_cache: bool

    def apply(self, wrapped: LoadedModel) -> LoadedModel:
        """A model that was wrapped anew, with what was proved of it."""
        wrapped.model.config.use_cache = self.use_cache
        usable = (site for site in wrapped.sites if site.layer in self.residuals)
        sites = tuple(replace(site, residual=self.residuals[site.layer]) for site in usable)
        return replace(wrapped, sites=sites, **self.facts)


_PROOFS: "WeakKeyDictionary[nn.Module, _Proof]" = WeakKeyDictionary()
_LAST_NAMED: dict[str, tuple[object, LocalEngine]] = {}
"""The engine on the model that was last asked for by its name; no second model is kept in memory."""


def _named(request: LoadModel, on_event: OnEvent) -> LocalEngine:
    seal = request, _files(request.model)
    known, engine = _LAST_NAMED.get("engine", (None, None))
    if engine is not None and known == seal and engine.loaded is not None:
        return engine
    _LAST_NAMED.clear()
    engine = LocalEngine()
    load(engine, request, on_event)
    _LAST_NAMED["engine"] = seal, engine
    return engine


def _files(name: str) -> list[tuple[str, int, int]]:
    """Name, size and time of each file of a model on this machine, which a training may have written anew."""
    path = Path(name).expanduser()
    files = path.iterdir() if path.is_dir() else [path] if path.is_file() else []
    known = ((file.name, file.stat()) for file in files)
    return sorted((name, status.st_size, status.st_mtime_ns) for name, status in known)


def _held(model: Any, tokenizer: Any, sites: dict[str, str], on_event: OnEvent) -> LocalEngine:
    own = unwrap(model)
    check_unpatched(own)
    check_tokenizer(own, tokenizer)
    twin = copy_sharing_weights(own)
    seal = _seal(own, sites)
    wrapped = wrap_model(twin, tokenizer, own.name_or_path or type(own).__name__, site_paths=sites)
    proof = _PROOFS.get(own)
    if proof is not None and proof.seal == seal and proof.tokenizer is tokenizer:
        return LocalEngine(proof.apply(wrapped), proof.info)
    loaded, info = try_out(wrapped, LoadModel(model=wrapped.name, sites=sites), _progress(on_event))
    _PROOFS[own] = _Proof(
        seal,
        tokenizer,
        info,
        {site.layer: site.residual for site in loaded.sites},
        {name: getattr(loaded, name) for name in ("refused", "rounding", "sink")},
        twin.config.use_cache,
    )
    return LocalEngine(loaded, info)


def _progress(on_event: OnEvent) -> ProgressCallback:
    def on_progress(stage: str, done: int = 0, total: int = 0) -> None:
        on_event(Progress(stage=stage, done=done, total=total))

    return on_progress


def _seal(model: Any, sites: dict[str, str]) -> tuple[object, ...]:
    """What a proof holds for: another, where a weight was changed, moved or replaced, an adapter set, or a hook added.

    Weights are told apart by their fingerprint, a sample, and by torch's count of the changes in place, which misses
    those through ``.data`` alone: such a change of a few weights keeps fingerprint and proof, though every number is
    still of the weights as they are.
    """
    weights = tuple(
        (parameter.device, parameter.dtype, 0 if parameter.is_inference() else parameter._version)
        for parameter in model.parameters()
    )
    modules = tuple(
        (name, type(module), tuple(module._forward_hooks), tuple(module._forward_pre_hooks))
        for name, module in model.named_modules()
    )
    config = repr(model.config.to_dict()), getattr(model.config, "_attn_implementation", None)
    return fingerprint(model), weights, adapter_state(model), modules, config, tuple(sorted(sites.items()))
