"""A patch, written in a form that other programs read, and the loss that this costs.

Enters: a built patch at its strength. Leaves: files, and an :class:`~icltui.values.ExportReport`. An adapter, which is
yet to be tried on a fresh model, leaves as an :class:`UncheckedAdapter`: plain values and a few logits, which keep no
model, so that there is room for the fresh one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from msgspec.structs import replace as with_changes
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from icltui.api.progress_callback import ProgressCallback
from icltui.engine.export.control_vector import added, vectors_of, write_vectors
from icltui.engine.export.factors_file import write_factors
from icltui.engine.export.foldable import FoldablePatch, foldable_patch
from icltui.engine.export.gguf_lora import architecture_of, names_of, with_lora, write_lora
from icltui.engine.export.peft import Adapter, has_experts, make_adapter, write_adapter
from icltui.engine.export.reference_logits import ReferenceLogits, reference_logits
from icltui.engine.measure.predictions import finite_or_none, kl_divergence
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.alpha_search import patched_logits, with_alpha
from icltui.engine.patch.build import BuiltPatch, refit
from icltui.engine.patch.exactness_at_load import tolerance_of
from icltui.values import ExportFormat, ExportReport, ModelInfo
from icltui.values.errors import BadInput
from icltui.values.patch_source import PatchSource
from icltui.values.recipe import Recipe

VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The values of ``max_lora_rank`` that vLLM accepts."""


@dataclass(frozen=True)
class UncheckedAdapter:
    """An adapter that was written, and the logits that it must give when it is read back."""

    references: ReferenceLogits
    report: ExportReport


@torch.no_grad()  # not inference mode, which rules derivatives out
def export_adapter(
    whole: BuiltPatch, folder: Path, on_progress: ProgressCallback, source: PatchSource | None = None
) -> UncheckedAdapter:
    """Write the adapter into ``folder``, with what it was made from where that is given.

    Raises:
        BadInput: no part of the patch fits into an adapter.
    """
    loaded = whole.spec.loaded
    leaving, adapter = _adapter(whole, on_progress)
    write_adapter(folder, adapter, source)
    references = reference_logits(leaving.built)
    notes = (*_rounding(loaded, references), *_programs(loaded, adapter.rank), *_beside(loaded))
    return UncheckedAdapter(references, _adapter_report("peft", whole, leaving, adapter, references, notes))


@torch.no_grad()
def export_gguf_lora(
    whole: BuiltPatch, path: Path, on_progress: ProgressCallback, source: PatchSource | None = None
) -> ExportReport:
    """Write the adapter to ``path`` as llama.cpp reads it, and try what is read back in this program.

    Raises:
        BadInput: no part of the patch fits into an adapter, or llama.cpp has no name for what does.
        EngineError: the file's matrices, added to the products of the model's, are not the patch.
    """
    loaded = whole.spec.loaded
    architecture = architecture_of(loaded)
    names = names_of(loaded, architecture)
    leaving, adapter = _adapter(whole, on_progress)
    write_lora(path, adapter, architecture, names, source)
    references = reference_logits(leaving.built)
    on_progress("reading the adapter back", 0, 1)
    with with_lora(loaded.model, path, names):
        difference = references.check(references.run(loaded.model), "read back, the adapter's logits")
    notes = (
        *_rounding(loaded, references),
        f"llama.cpp: --lora FILE, or --lora-scaled FILE:STRENGTH, on a GGUF of this model ({architecture})",
    )
    report = _adapter_report("gguf-lora", whole, leaving, adapter, references, notes)
    return with_changes(report, largest_difference=finite_or_none(difference))


@torch.no_grad()
def export_control_vector(whole: BuiltPatch, path: Path, on_progress: ProgressCallback) -> ExportReport:
    """Write the control vector to ``path``, and try it in this program.

    Raises:
        BadInput: a patch without a shift that a control vector can hold.
        EngineError: the vectors, added to the blocks' outputs, do not have the effect of the shift.
    """
    loaded = whole.spec.loaded
    if whole.spec.recipe.components == "weights":
        raise BadInput(
            "a control vector is the shift, which ΔW alone leaves out: give --components both or shift"
        )
    recipe = with_changes(whole.spec.recipe, components="shift", carrier="bias")
    spec = replace(whole.spec, recipe=recipe)
    leaving = with_alpha(refit(replace(whole, spec=spec), frozenset({0})))
    assert leaving.patch is not None
    vectors = vectors_of(leaving.patch.at(leaving.alpha))
    if not vectors:
        raise BadInput("only layer 0 is selected, at which llama.cpp adds nothing: choose other layers too")
    on_progress("writing the control vector", 0, 1)
    write_vectors(path, vectors, str(loaded.model.config.get_text_config(decoder=True).model_type))
    references = reference_logits(leaving)
    with added(spec.sites, vectors):
        ours = references.run(loaded.model)
    difference = references.check(ours, "added to the blocks' outputs, the vectors' logits")
    kls = _kls(whole, ours[0])
    return ExportReport(
        format="gguf-control-vector",
        files=(),
        rank=leaving.rank,
        n_tensors=len(vectors),
        largest_difference=finite_or_none(difference),
        left_out=(*_beside_vectors(whole), _cost(*kls)),
        notes=("llama.cpp: --control-vector FILE, or --control-vector-scaled FILE:STRENGTH",),
        **_compared(references, kls),
    )


@torch.no_grad()
def export_factors(
    info: ModelInfo,
    whole: BuiltPatch,
    path: Path,
    on_progress: ProgressCallback,  # noqa: ARG001
) -> ExportReport:
    """The patch's factors and the vectors that it was fitted on, written to ``path``."""
    n_tensors = len(write_factors(path, whole, info.fingerprint))
    return ExportReport(format="factors", files=(), rank=whole.rank, n_tensors=n_tensors)


def check_carrier(recipe: Recipe) -> None:
    """Refuse a patch that no adapter can hold, before it is made.

    Raises:
        BadInput: its shift is a constant.
    """
    if recipe.carrier == "bias" and recipe.components != "weights":
        raise BadInput(
            "an adapter of weights cannot hold the shift as a constant: give --components weights, generate with "
            "--carrier output, or export --to gguf-control-vector"
        )


def _adapter(whole: BuiltPatch, on_progress: ProgressCallback) -> tuple[FoldablePatch, Adapter]:
    """The part of the patch that weights can carry, and that part as an adapter."""
    check_carrier(whole.spec.recipe)
    on_progress("seeing what weights can carry", 0, 1)
    leaving = foldable_patch(whole)
    patch = leaving.built.patch
    assert patch is not None
    on_progress("writing the adapter", 0, 1)
    adapter = make_adapter(whole.spec.loaded, patch.at(leaving.built.alpha), leaving.factors)
    if not adapter.tensors:
        why = next(iter(leaving.unshifted.values()))
        raise BadInput(f"nothing of this patch fits into an adapter, as {why}: give --components both")
    return leaving, adapter


def _adapter_report(
    form: ExportFormat,
    whole: BuiltPatch,
    leaving: FoldablePatch,
    adapter: Adapter,
    references: ReferenceLogits,
    notes: tuple[str, ...],
) -> ExportReport:
    kls = _kls(whole, references.patched[0])
    return ExportReport(
        format=form,
        files=(),
        rank=adapter.rank,
        n_tensors=len(adapter.tensors),
        left_out=(*_shifts(leaving.unshifted), *([_cost(*kls)] if leaving.unshifted else [])),
        notes=notes,
        **_compared(references, kls),
    )


def _kls(whole: BuiltPatch, exported: Float[Tensor, " vocabulary"]) -> tuple[float, float]:
    """KL(with context ‖ …) after the query, of the written part and of the whole patch."""
    context = whole.own.logits[0].cpu().log_softmax(-1)
    ours, theirs = exported.cpu(), patched_logits(whole, whole.own)[0].cpu()
    kl_ours, kl_theirs = (float(kl_divergence(context, x.log_softmax(-1))) for x in (ours, theirs))
    return kl_ours, kl_theirs


def _cost(exported: float, patch: float) -> str:
    return (
        "this costs: KL from the contextual distribution after the query is "
        f"{exported:.2g} instead of the whole patch's {patch:.2g}"
    )


def _compared(references: ReferenceLogits, kls: tuple[float, float]) -> dict[str, Any]:
    """The report's numbers of the comparison."""
    return {
        "n_compared": len(references.patched),
        "logit_scale": finite_or_none(references.scale),
        "tolerance": finite_or_none(references.tolerance),
        "largest_effect": finite_or_none(references.effect),
        "kl_exported": finite_or_none(kls[0]),
        "kl_patch": finite_or_none(kls[1]),
    }


def _shifts(unshifted: dict[int, str]) -> Iterator[str]:
    for why in dict.fromkeys(unshifted.values()):
        yield f"the shift at layers {_spans([layer for layer in unshifted if unshifted[layer] == why])}: {why}"


def _beside_vectors(whole: BuiltPatch) -> Iterator[str]:
    if whole.spec.recipe.components == "both":
        yield "ΔW: a control vector is one constant for each layer"
    if any(site.layer == 0 for site in whole.spec.sites):
        yield "the shift at layer 0: llama.cpp adds nothing there"


def _rounding(loaded: LoadedModel, references: ReferenceLogits) -> Iterator[str]:
    if references.tolerance > (usual := tolerance_of(loaded)):
        dtype = str(loaded.dtype).removeprefix("torch.")
        yield (
            f"rounding in {dtype} alone moves the patch's logits, so that {references.tolerance:.1g} of the largest "
            f"is allowed, not {usual:.1g}"
        )


def _programs(loaded: LoadedModel, rank: int) -> Iterator[str]:
    """Notes on other programs that read the adapter, as far as their sources tell."""
    if has_experts(loaded):
        yield "experts are adapted as parameters, which PEFT reads from 0.20 on; no other program was tried"
        return
    room = next((most for most in VLLM_RANKS if most >= rank), None)
    yield f"vLLM: --max-lora-rank {room} is needed" if room else f"vLLM takes ranks up to {VLLM_RANKS[-1]}"
    if any(
        isinstance(projection.module, Conv1D)
        for site in loaded.sites
        for projection in site.input_projections
    ):
        yield (
            "llama.cpp: do not convert this adapter, as its converter would transpose the Conv1D matrices: "
            "export --to gguf-lora"
        )


def _beside(loaded: LoadedModel) -> Iterator[str]:
    """Notes on what is beside the base's weights, or around them."""
    if loaded.gguf is not None:
        yield "PEFT: it does not open a GGUF by itself: the README beside the adapter has the lines that do"
    if loaded.has_adapter:
        yield "PEFT: the base's folder holds another adapter, which transformers attaches there: move it away first"


def _spans(layers: Sequence[int]) -> str:
    """Layers as ranges.

    >>> _spans([0, 1, 2, 5])
    '0-2, 5'
    """
    spans: list[list[int]] = []
    for layer in sorted(layers):
        if spans and spans[-1][-1] == layer - 1:
            spans[-1].append(layer)
        else:
            spans.append([layer])
    return ", ".join(str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans)
