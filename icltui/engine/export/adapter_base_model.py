"""The base model of an export: its location for any program on this machine, and its fingerprint.

Enters: a loaded model. Leaves: a :class:`Base`, and the model card of an adapter made on it.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download

from icltui import __version__
from icltui.api.messages import DEMO
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.loaded_model import LoadedModel
from icltui.storage.paths import MODEL_DIR
from icltui.text.escape import visible
from icltui.values.patch_source import PATCH_FILE, PatchSource

CARD = "README.md"


@dataclass(frozen=True)
class Base:
    """A model, identified by its location and its weights."""

    place: str
    """An absolute path of a folder or GGUF file, or an id on the Hugging Face hub."""
    revision: str | None
    commit: str | None
    """The hub's commit, where the local cache knows it."""
    fingerprint: str
    architecture: str
    dtype: str
    is_gguf: bool = False
    """Whether the weights are those of a GGUF file, unpacked."""

    @property
    def is_here(self) -> bool:
        """Whether it is on the machine that the adapter was made on."""
        return os.path.isabs(self.place)


def base_of(loaded: LoadedModel) -> Base:
    """The base of an adapter on the model ``loaded``."""
    place = place_of(loaded)
    return Base(
        place=place,
        revision=loaded.revision,
        commit=None if os.path.isabs(place) else _commit(place, loaded.revision),
        fingerprint=fingerprint(loaded.model),
        architecture=type(loaded.model).__name__,
        dtype=str(loaded.dtype).removeprefix("torch."),
        is_gguf=loaded.gguf is not None,
    )


def place_of(loaded: LoadedModel) -> str:
    """The absolute path of a GGUF file or folder, the embedded model's included; else the name, an id on the hub."""
    if loaded.gguf is not None:
        return os.path.abspath(loaded.gguf.file)
    folder = MODEL_DIR if loaded.name == DEMO else Path(loaded.name).expanduser()
    return os.path.abspath(folder) if folder.is_dir() else loaded.name


def _commit(name: str, revision: str | None) -> str | None:
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True)).name
    except Exception:  # noqa: BLE001 -- not from the hub after all, or its cache is gone: then it is not known
        return None


def write_card(folder: Path, base: Base, source: PatchSource | None = None) -> None:
    """Write the model card of the adapter in ``folder``, made from ``source`` where that lies beside it."""
    where = "revision " + base.revision if base.revision else "default branch"
    known = {
        "base": base.place if base.is_here else f"{base.place} ({where})",
        "commit": base.commit,
        "class": base.architecture,
        "dtype it was made in": base.dtype,
        "fingerprint of its weights": base.fingerprint,
    }
    moved = (
        "The base is a folder of the machine that the adapter was made on. Elsewhere, or where it was moved, write its "
        "new place into `base_model_name_or_path` of adapter_config.json.\n"
    )
    lines = (f"- {what}: `{visible(value).replace('`', ' ')}`" for what, value in known.items() if value)
    text = "\n".join(
        [
            "---",
            "library_name: peft",
            f"base_model: {json.dumps(base.place)}",
            "---",
            "",
            "A patch that puts a context's effect into weights, as a LoRA adapter.",
            "",
            *lines,
            "",
            *([] if source is None else _provenance(source)),
            *([_unpacking(base)] if base.is_gguf else [moved] if base.is_here else []),
            f"icltui {__version__} made it; its fingerprint is what `icltui measure --format json` tells of the loaded",
            "model: on weights with another one this adapter is another patch.",
            "",
        ]
    )
    (folder / CARD).write_text(text, encoding="utf-8", errors="backslashreplace")


def _provenance(source: PatchSource) -> list[str]:
    """Whether the patch was forced, and what the file beside it tells."""
    reason = visible(source.refused or "").replace("`", " ")
    return [
        *([f"**Forced:** {reason}.", ""] if source.forced else []),
        f"`{PATCH_FILE}` holds the context and the queries that it was made from: take it away where they are private.",
        "",
    ]


def _unpacking(base: Base) -> str:
    """How the base of an adapter becomes a model that PEFT takes, where it is a GGUF file."""
    folder, name = (visible(part).replace("`", " ") for part in os.path.split(base.place))
    return (
        "The base is a GGUF file, which PEFT and vLLM cannot load by themselves. Unpack it with transformers, "
        f"`AutoModelForCausalLM.from_pretrained({folder!r}, gguf_file={name!r}, "
        f"quantization_config=GgufConfig(dequantize=True), dtype={base.dtype!r})`, and give that model to "
        "`PeftModel.from_pretrained`; or save it as a folder, and write the folder's place into "
        "`base_model_name_or_path` of adapter_config.json.\n"
    )
