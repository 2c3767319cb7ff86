"""The zoo: whether the patch is exact on every architecture, by the check at load on a tiny random model of each, and
on one real model.

Enters: names of members (:mod:`icltui.zoo.families`). Leaves: a :class:`~icltui.values.ZooRow` for each. A family on
which the patch is not exact says so, with the number; one whose blocks cannot be explored says why.
"""

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from icltui.api.messages import LoadModel
from icltui.engine.generate.generate import generate
from icltui.engine.measure.packing_check import choose_path, sample_ids
from icltui.engine.models.load import load
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.engine.patch.build import BuiltPatch, PatchSpec
from icltui.engine.patch.exactness_at_load import LayerTrial, LoadCheck, check_layers
from icltui.values import Generation, ZooRow
from icltui.values.errors import BadInput, EngineError, ForwardError, IcltuiError
from icltui.values.prompt import layers_text
from icltui.values.recipe import Recipe
from icltui.zoo import real_model
from icltui.zoo.families import SITE_PATHS, VOCABULARY
from icltui.zoo.tiny_model import build, members

EXACT = 2e-6
"""The largest relative error in float32 that rounding explains."""
N_TOKENS = 6
"""Tokens generated with the context, and through a patch per step."""


def resolve_members(names: Sequence[str]) -> tuple[str, ...]:
    """The members that ``names`` asks for, all of them where it is empty.

    Raises:
        BadInput: a name that the zoo lacks.
    """
    known = (*members(), real_model.NAME)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known)
            advice = f"perhaps {' or '.join(near)}" if near else "without --family the table names them all"
            raise BadInput(f"family {name!r} is not in the zoo: {advice}")
    return tuple(dict.fromkeys(names)) or known


def examine_members(names: Iterable[str]) -> Iterator[ZooRow]:
    """A row for each member, as soon as it is checked in float32 and bfloat16."""
    for name in names:
        with _one_thread():
            row = _row(name, _examine(name, torch.float32), _examine(name, torch.bfloat16))
        yield row


def holds(row: ZooRow) -> bool:
    """Whether each layer is exact or refused, and no patch left a trace."""
    return row.n_exact + row.n_refused == row.n_layers and row.undone is not False


@dataclass(frozen=True)
class _Examined:
    """The result of one member in one dtype."""

    model_class: str = ""
    loaded: LoadedModel | None = None
    proof: LoadCheck | None = None
    failure: str | None = None
    """Why the check could not be run."""

    @property
    def layers(self) -> tuple[LayerTrial, ...]:
        return self.proof.layers if self.proof else ()


def _examine(name: str, dtype: torch.dtype) -> _Examined:
    model_class = ""
    try:
        if name == real_model.NAME:
            loaded = _load(real_model.cached(), dtype)
        else:
            model = build(name, dtype)
            model_class = type(model).__name__
            loaded = wrap_model(model, _tokenizer(), name, site_paths=SITE_PATHS.get(name))
        model_class = type(loaded.model).__name__
        sites, proof = check_layers(loaded)
        return _Examined(model_class, replace(loaded, sites=tuple(sites)), proof)
    except IcltuiError as error:
        return _Examined(model_class, failure=str(error))
    except Exception as error:  # noqa: BLE001 -- in another version a config or kernel may refuse in any way it likes
        doing = "run" if model_class else "built"
        reason = " ".join(str(error).split())[:160]
        return _Examined(model_class, failure=f"cannot be {doing}: {type(error).__name__}: {reason}")


def _load(file: Path, dtype: torch.dtype) -> LoadedModel:
    """The real model, by the program's own loading."""
    request = LoadModel(model=str(file), device="cpu", dtype=str(dtype).removeprefix("torch."))
    events = load(request, lambda: None)
    while True:
        try:
            next(events)
        except StopIteration as end:
            loaded: LoadedModel = end.value
            return loaded


def _row(name: str, full: _Examined, half: _Examined) -> ZooRow:
    is_real = name == real_model.NAME
    if full.loaded is None or full.proof is None:
        why = full.failure or ""
        return ZooRow(family=name, model_class=full.model_class, notes=(why,), is_real=is_real)
    is_usable = not all(layer.fault for layer in full.layers)
    path, reason = choose_path(full.loaded) if is_usable else (None, "")
    said = _n_equal_tokens(full) if is_usable else None
    notes = _refusals(full) or [f"bfloat16: {note}" for note in _refusals(half)]
    notes += [reason] if reason else []
    if site_paths := SITE_PATHS.get(name):
        notes.append("with " + " ".join(f"--site {place}={path}" for place, path in site_paths.items()))
    return ZooRow(
        family=name,
        model_class=full.model_class,
        n_layers=full.loaded.n_layers,
        n_exact=sum(map(_is_exact, full.layers)),
        n_refused=len(full.loaded.refused) + sum(layer.fault is not None for layer in full.layers),
        mlp_error=_largest(layer.mlp_error for layer in full.layers),
        mlp_error_bfloat16=_largest(layer.mlp_error for layer in half.layers),
        block_error=_largest(layer.block_error for layer in full.layers),
        block_error_bfloat16=_largest(layer.block_error for layer in half.layers),
        logit_error=_largest([full.proof.logit_error]),
        undone=full.proof.undone,
        path=path,
        n_said=said,
        notes=tuple(notes),
        is_real=is_real,
    )


@torch.inference_mode()
def _n_equal_tokens(examined: _Examined) -> int | None:
    """The number of greedy tokens that a patch per step on every usable layer shares with the context."""
    assert examined.loaded is not None
    faulty = {layer.layer for layer in examined.layers if layer.fault}
    sites = [site for site in examined.loaded.sites if site.layer not in faulty]
    spec = PatchSpec(examined.loaded, sites, sample_ids(examined.loaded, 9, 4), "reset", Recipe())
    try:
        *_, whole = generate([spec], BuiltPatch(spec), lanes=("context", "patched"), n_tokens=N_TOKENS)
    except (EngineError, ForwardError):  # no cache to go on from
        return None
    assert isinstance(whole, Generation)
    return whole.agreement["patched"].equal


def _is_exact(layer: LayerTrial) -> bool:
    return layer.fault is None and max(layer.mlp_error, layer.block_error) <= EXACT


def _refusals(examined: _Examined) -> list[str]:
    """Each kind of reason why a layer is refused, once, in the words of the layer with the largest error."""
    if examined.loaded is None or examined.proof is None:
        return [examined.failure or ""]
    reasons = {refused.layer: refused.reason for refused in examined.loaded.refused}
    reasons |= {layer.layer: layer.fault for layer in examined.layers if layer.fault}
    errors = {layer.layer: max(layer.mlp_error, layer.block_error) for layer in examined.layers}
    kinds: dict[str, list[int]] = {}
    for layer, reason in sorted(reasons.items()):
        kinds.setdefault(re.sub(r"\d\S*", "", reason), []).append(layer)
    worst = (max(layers, key=lambda layer: errors.get(layer, 0.0)) for layers in kinds.values())
    return [
        f"{_layers(layers, examined.loaded.n_layers)}: {reasons[layer]}"
        for layers, layer in zip(kinds.values(), worst, strict=True)
    ]


def _layers(layers: Sequence[int], n_layers: int) -> str:
    if len(layers) == n_layers:
        return "every layer"
    return f"layer{'s' if len(layers) > 1 else ''} {layers_text(layers, n_layers)}"


def _largest(errors: Iterable[float]) -> float | None:
    """The largest error that is a number, if any is."""
    return max(filter(math.isfinite, errors), default=None)


def _tokenizer() -> Any:
    """A tokenizer whose words are numbers, a token each."""
    words = WordLevel({str(token): token for token in range(VOCABULARY)}, unk_token="0")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words))


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch has one thread, as more cost time on models this small, and gives no warnings about their sizes."""
    verbosity, threads = logging.get_verbosity(), torch.get_num_threads()
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        logging.set_verbosity(verbosity)
