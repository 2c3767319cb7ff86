"""*export* as a stream of events: a patch is built, written, read back, and only then moved to its target.

Enters: a request, the loaded model, and a way to load that model anew. Leaves: events, and a folder or a file, whole
or not at all. A part that a format cannot carry is left out and reported, with its cost; the rest of the patch is
then fitted anew, so that the layers above make up for the gap.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace as with_changes
from safetensors import SafetensorError

from icltui.api.messages import Event, Export, ExportEnded, Progress
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.export.control_vector import check_gguf
from icltui.engine.export.export_patch import (
    UncheckedAdapter,
    check_carrier,
    export_adapter,
    export_control_vector,
    export_factors,
    export_gguf_lora,
)
from icltui.engine.export.peft_check import check_peft, compare_with_peft
from icltui.engine.generate.jobs import make_patch
from icltui.engine.generate.prepare_request import make_spec, with_kept_header
from icltui.engine.models.background_thread import run_in_background, run_when_idle
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.prompts.tokenize import tokenize
from icltui.storage.atomic import leftover_prefix, remove_leftovers, sync_folder
from icltui.storage.paths import shown
from icltui.values import ExportFormat, ExportReport, ModelInfo
from icltui.values.errors import BadInput, EngineError, reason_of
from icltui.values.patch_source import PatchSource

Model = Callable[[], LoadedModel]
"""Returns the loaded model, which is not kept: it makes room for the model that the adapter is tried on."""
Fresh = Callable[[], Generator[Event, None, Any]]
"""Yields the events of loading the model anew, and returns it."""

_MADE = "made"
"""Its name in a staged folder."""
Draft = UncheckedAdapter | ExportReport
"""What was written into a staged folder; an adapter for PEFT is yet to be read back."""


def run_export(request: Export, info: ModelInfo, model: Model, fresh: Fresh) -> Iterator[Event]:
    """Write the patch that ``request`` asks for.

    Raises:
        BadInput: a patch that cannot be exported, another model's patch, or a target that cannot be written.
        ModelError: the package that the format needs is missing.
        EngineError: the written file is not the patch; it is removed.
    """
    target = Path(request.path)
    _check(request, info)
    notes = _on_the_prompt(model(), request)
    with staged(target) as folder:
        draft = yield from run_in_background(
            lambda on_progress: write_draft(
                _whole(model(), request, on_progress), request.format, folder, info, on_progress
            )
        )
        report = yield from keep_draft(draft, folder, target, fresh)
    yield ExportEnded(report=with_changes(report, notes=(*report.notes, *notes)))


def write_draft(
    whole: BuiltPatch,
    form: ExportFormat,
    folder: Path,
    info: ModelInfo,
    on_progress: ProgressCallback,
    source: PatchSource | None = None,
) -> Draft:
    """Write the patch into the staged ``folder``; what comes back keeps no model.

    An adapter carries the ``source`` that it was made from, where that is given.

    Raises:
        BadInput: a patch that the format cannot hold.
        EngineError: the written file is not the patch.
    """
    if form == "peft":
        return export_adapter(whole, folder, on_progress, source)
    if form == "gguf-lora":
        return export_gguf_lora(whole, folder / _MADE, on_progress, source)
    write = export_control_vector if form == "gguf-control-vector" else partial(export_factors, info)
    return write(whole, folder / _MADE, on_progress)


def keep_draft(
    draft: Draft, folder: Path, target: Path, fresh: Fresh
) -> Generator[Event, None, ExportReport]:
    """Read an adapter back into a fresh model, and move what was written from ``folder`` to ``target``.

    Raises:
        BadInput: something is at the target by now.
        EngineError: the adapter that is read back is not the patch.
    """
    if isinstance(draft, ExportReport):
        report, made, files = draft, folder / _MADE, [target]
    else:
        untouched = yield from fresh()
        yield Progress(stage="reading the adapter back", done=0, total=1)
        report = yield from run_in_background(lambda _on_progress: _read_back(untouched, folder, draft))
        made, files = folder, [target / path.name for path in sorted(folder.iterdir())]
    _refuse_existing(target)
    _make_private(made)
    os.rename(made, target)
    sync_folder(target.parent)
    return with_changes(report, files=tuple(map(str, files)))


def _whole(loaded: LoadedModel, request: Export, on_progress: ProgressCallback) -> BuiltPatch:
    return make_patch(
        make_spec(loaded, request.prompt, request.layers, request.recipe, kept=request.ids), on_progress
    )


@torch.no_grad()
def _read_back(untouched: Any, folder: Path, draft: UncheckedAdapter) -> ExportReport:
    difference = compare_with_peft(untouched, folder, draft.references)
    return with_changes(draft.report, largest_difference=difference)


def _check(request: Export, info: ModelInfo) -> None:
    """Refuses requests that are known to fail before any work."""
    check_target(request.path, request.format)
    if request.recipe.mode == "per-step":
        raise BadInput(
            "a patch per step is made anew for every token, so there is none to write: give --mode frozen or compiled"
        )
    if request.recipe.layer_alphas and request.format == "factors":
        raise BadInput(
            "factors are of layers at strength 1: export as peft or gguf-lora, or leave the strengths by layer out"
        )
    if request.fingerprint not in (None, info.fingerprint):
        raise BadInput(
            f"this patch belongs to other weights (fingerprint {request.fingerprint}, those of {info.name!r} have "
            f"{info.fingerprint}): give --model and --revision of its own model, or generate it anew on this one"
        )
    if request.format in ("peft", "gguf-lora"):
        check_carrier(request.recipe)


def check_target(path: str, form: ExportFormat) -> None:
    """Refuse, before any work, a place that cannot be written and a format whose package is missing.

    Raises:
        BadInput: nothing can be written at ``path``.
        ModelError: the package is missing.
    """
    if not path:
        raise BadInput("there is no place to write to: give -o PATH")
    target = Path(path)
    _refuse_existing(target)
    if not target.parent.is_dir():
        raise BadInput(f"cannot write {shown(target)}: its folder is not there: make it first")
    if not os.access(target.parent, os.W_OK):
        raise BadInput(f"cannot write {shown(target)}: permission denied: choose another place")
    if form == "peft":
        check_peft()
    elif form != "factors":
        check_gguf()


def _on_the_prompt(loaded: LoadedModel, request: Export) -> tuple[str, ...]:
    """A note where the prompt's header differs from the header that the patch was made with."""
    ids, _ = tokenize(loaded, request.prompt)
    if request.ids is None or with_kept_header(loaded, ids, request.ids) == ids:
        return ()
    return (
        f"the chat template writes another header by now ({request.ids.unlike(ids.record)}): the patch is that of the "
        "header then",
    )


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise BadInput(f"{shown(target)} exists already: give -o another name")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A private folder beside the target, removed at the end with any file left in it.

    Raises:
        BadInput: the target's folder cannot be written.
    """
    try:
        remove_leftovers(target.parent)
        folder = Path(tempfile.mkdtemp(prefix=leftover_prefix(), dir=target.parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():  # cancelled work still writes to it
                run_when_idle(partial(shutil.rmtree, folder, ignore_errors=True))
    except (OSError, SafetensorError) as error:
        raise BadInput(f"cannot write {shown(target)}: {reason_of(error)}: choose another place") from error


def _make_private(made: Path) -> None:
    """Make ``made`` readable for its owner alone, whatever libraries chose: it holds the user's own text."""
    for path in (made, *made.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


def check_same_weights(before: str, after: str) -> None:
    """Refuses a model whose weights differ from those that the patch was made on.

    Raises:
        EngineError: the weights changed on the disk.
    """
    if before != after:
        raise EngineError(
            f"the model's weights changed while the patch was made (fingerprint {before}, now {after}): export again"
        )
