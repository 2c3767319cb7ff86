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
from icltui.engine.export.control_vector import check_gguf
from icltui.engine.export.export_patch import (
    UncheckedAdapter,
    export_adapter,
    export_control_vector,
    export_factors,
    export_gguf_lora,
)
from icltui.engine.export.peft_check import check_peft, compare_with_peft
from icltui.engine.generate.prepare_request import with_kept_header
from icltui.engine.models.background_thread import run_in_background, run_when_idle
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import tokenize
from icltui.storage.atomic import leftover_prefix, remove_leftovers, sync_folder
from icltui.storage.paths import shown
from icltui.values import ExportReport, ModelInfo
from icltui.values.errors import BadInput, EngineError, reason_of

Model = Callable[[], LoadedModel]
"""Returns the loaded model, which is not kept: it makes room for the model that the adapter is tried on."""
Fresh = Callable[[], Generator[Event, None, Any]]
"""Yields the events of loading the model anew, and returns it."""

_FILES = {"gguf-lora": export_gguf_lora, "gguf-control-vector": export_control_vector}
"""What writes a format that is one file."""


def run_export(request: Export, info: ModelInfo, model: Model, fresh: Fresh) -> Iterator[Event]:
    """Write the patch that ``request`` asks for.

    Raises:
        BadInput: a patch that cannot be exported, another model's patch, or a target that cannot be written.
        ModelError: the package that the format needs is missing.
        EngineError: the written file is not the patch; it is removed.
    """
    target = Path(request.path)
    _check(request, info, target)
    notes = _on_the_prompt(model(), request)
    with _staged(target) as folder:
        if request.format == "peft":
            draft = yield from run_in_background(
                lambda on_progress: export_adapter(model(), request, folder, on_progress)
            )
            untouched = yield from fresh()
            yield Progress(stage="reading the adapter back", done=0, total=1)
            report = yield from run_in_background(lambda _on_progress: _read_back(untouched, folder, draft))
            made = folder
        else:
            made = folder / "made"
            write = _FILES.get(request.format, partial(export_factors, info))
            report = yield from run_in_background(
                lambda on_progress: write(model(), request, made, on_progress)
            )
        files = [target / path.name for path in sorted(folder.iterdir())] if made is folder else [target]
        _refuse_existing(target)
        _make_private(made)
        os.rename(made, target)
        sync_folder(target.parent)
    yield ExportEnded(
        report=with_changes(report, files=tuple(map(str, files)), notes=(*report.notes, *notes))
    )


@torch.no_grad()
def _read_back(untouched: Any, folder: Path, draft: UncheckedAdapter) -> ExportReport:
    difference = compare_with_peft(untouched, folder, draft.references)
    return with_changes(draft.report, largest_difference=difference)


def _check(request: Export, info: ModelInfo, target: Path) -> None:
    """Refuses requests that are known to fail before any work."""
    if not request.path:
        raise BadInput("there is no place to write to: give -o PATH")
    _refuse_existing(target)
    if not target.parent.is_dir():
        raise BadInput(f"cannot write {shown(target)}: its folder is not there: make it first")
    if request.recipe.mode == "per-step":
        raise BadInput(
            "a patch per step is made anew for every token, so there is none to write: give --mode frozen or compiled"
        )
    if request.fingerprint not in (None, info.fingerprint):
        raise BadInput(
            f"this patch belongs to other weights (fingerprint {request.fingerprint}, those of {info.name!r} have "
            f"{info.fingerprint}): give --model and --revision of its own model, or generate it anew on this one"
        )
    if request.format == "peft":
        check_peft()
    elif request.format in _FILES:
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
def _staged(target: Path) -> Iterator[Path]:
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
