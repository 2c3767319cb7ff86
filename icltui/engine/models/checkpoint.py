"""The location of a model's files, and whether they may be read, before anything is loaded.

Enters: a :class:`~icltui.api.messages.LoadModel` request. Leaves: a :class:`Checkpoint`, a folder or an id on the
Hugging Face hub. Weights that are pickles can run code when they are read, so they are refused unless the request
allows them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import msgspec
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from icltui.api.messages import DEMO, LoadModel
from icltui.engine.models.gguf_file import ENDING, alone_in_folder, model_header, unpacking
from icltui.engine.models.gguf_header import GgufHeader
from icltui.storage.ollama_store import PREFIX, ollama_file
from icltui.storage.paths import MODEL_DIR, shown, typed_path
from icltui.values.errors import BadInput, ModelError

CONFIG, ADAPTER = "config.json", "adapter_config.json"
MOST_JSON = 2**26
"""Bytes of a configuration or an index; the largest index known has 9 MB."""
MOST_TOKENIZER = 2**27
"""Bytes of a file of the tokenizer; the largest known has 35 MB."""
_TOKENIZER_FILES = tuple(
    "tokenizer vocab merges added_tokens special_tokens chat_template generation_config".split()
)
"""Beginnings of the names of a tokenizer's files."""


@dataclass(frozen=True)
class Checkpoint:
    """The arguments of ``from_pretrained``."""

    name_or_path: str
    """A folder, a GGUF file, or an id on the hub."""
    revision: str | None
    trusts_code: bool
    has_adapter: bool = False
    """Whether the folder also holds a LoRA."""
    gguf: GgufHeader | None = None
    """The header of a GGUF file; None: it is a folder or on the hub."""

    @property
    def config_file(self) -> Path:
        """The configuration's file, downloaded where it is missing."""
        if self.folder is not None:
            return self.folder / CONFIG
        return Path(hf_hub_download(self.name_or_path, CONFIG, revision=self.revision))

    @property
    def folder(self) -> Path | None:
        """The folder; None: it is on the hub."""
        return Path(self.name_or_path) if Path(self.name_or_path).is_dir() else None

    @property
    def kwargs(self) -> dict[str, Any]:
        """The keyword arguments that configuration, tokenizer and model share."""
        return {
            "revision": self.revision,
            "local_files_only": self.folder is not None,
            "trust_remote_code": self.trusts_code,  # None would ask on stdin
        }

    @contextmanager
    def opened(self, count_tensors: Callable[..., Any] | None = None) -> Iterator[dict[str, Any]]:
        """The arguments that configuration, tokenizer and model share, for use in the ``with`` block.

        With ``count_tensors``, which sees a GGUF's tensors as they are unpacked, they are those of the model.
        """
        if self.gguf is None:
            yield {"pretrained_model_name_or_path": self.name_or_path, **self.kwargs}
            return
        from icltui.engine.models.gguf_reader import reading_once  # here, as it imports gguf

        with ExitStack() as stack:
            stack.enter_context(reading_once(self.gguf))
            place = stack.enter_context(alone_in_folder(self.gguf.file))
            unpacked = stack.enter_context(unpacking(count_tensors)) if count_tensors else {}
            yield {**self.kwargs, **place, **unpacked, "local_files_only": True}


class _Index(msgspec.Struct):
    """An index of weights: the file of each tensor."""

    weight_map: dict[str, str]


def find_checkpoint(request: LoadModel) -> Checkpoint:
    """The folder, file or id that ``request`` names; a folder comes first, so that errors name its faults.

    Raises:
        BadInput: a revision of a folder or file, or a GGUF to be quantized.
        ModelError: there is no such model, or it has no weights that may be read.
    """
    name = request.model
    folder = MODEL_DIR if name == DEMO else typed_path(name)
    if (file := _gguf_file(name, folder)) is not None:
        return _gguf_checkpoint(request, file)
    if folder.is_dir():
        if request.revision is not None:
            raise BadInput(f"--revision {request.revision} goes with a model on the hub, not with a folder")
        name_or_path, files = str(folder), _names(folder)
    elif name == DEMO:
        raise ModelError("the embedded model is missing from this installation: reinstall icltui")
    elif name.startswith((".", "/", "~")) or name.count("/") > 1 or name.endswith(ENDING):
        raise ModelError(
            f"no folder or file {name!r}: give a folder with config.json, a .gguf file, or a Hugging Face id"
        )
    else:
        name_or_path, files = _on_hub(name, request.revision)
    kind = "folder" if folder.is_dir() else "model"
    if CONFIG not in files or (folder.is_dir() and not (folder / CONFIG).is_file()):
        raise ModelError(f"{kind} {name!r} has no config.json: it is not a Hugging Face model {kind}")
    _check_weights(f"{kind} {name!r}", files, request.allow_pickle)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.name.startswith(_TOKENIZER_FILES) and path.is_file():
                _check_size(path, MOST_TOKENIZER)
    return Checkpoint(name_or_path, request.revision, request.trust_remote_code, ADAPTER in files)


def _gguf_file(name: str, path: Path) -> Path | None:
    """The GGUF file that the name means: itself, Ollama's, or the only one of a folder without config.json."""
    if path.is_file():
        return path
    if not path.is_dir():
        return ollama_file(name) if name.startswith(PREFIX) else None
    files = [file for file in sorted(path.iterdir()) if file.suffix == ENDING and file.is_file()]
    if not files or (path / CONFIG).is_file():
        return None
    if len(files) > 1:
        names = ", ".join(ascii(file.name) for file in files[:5]) + (", …" if len(files) > 5 else "")
        raise ModelError(
            f"folder {name!r} has {len(files)} GGUF files: give one of them as the model: {names}"
        )
    return files[0]


def _gguf_checkpoint(request: LoadModel, file: Path) -> Checkpoint:
    if request.revision is not None:
        raise BadInput(f"--revision {request.revision} goes with a model on the hub, not with a file")
    if request.quantize != "none":
        raise BadInput(
            f"--quantize {request.quantize} goes with a model of safetensors: a GGUF is unpacked into --dtype"
        )
    return Checkpoint(str(file), None, trusts_code=False, gguf=model_header(file))


def _check_weights(whose: str, files: Sequence[str], allow_pickle: bool) -> None:
    if not {"model.safetensors", "model.safetensors.index.json"}.isdisjoint(files):
        return
    if {"pytorch_model.bin", "pytorch_model.bin.index.json"}.isdisjoint(files):
        packed = next((name for name in sorted(files) if name.endswith(ENDING)), "")
        if packed:
            raise ModelError(f"{whose} has no model.safetensors: give {packed} itself as the model")
        raise ModelError(f"{whose} has no weights: model.safetensors was expected beside config.json")
    if not allow_pickle:
        raise ModelError(
            f"{whose} has its weights as pickles only, which can run code: if you trust it, give --allow-pickle"
        )


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights: the one of the usual name, or the shards that its index names.

    Raises:
        ModelError: an invalid index, or one that names a file outside of the folder or of another kind.
    """
    for stem in ("model.safetensors", "pytorch_model.bin"):
        if (folder / stem).is_file():
            return [folder / stem]
        if (index := folder / f"{stem}.index.json").is_file():
            return [_shard(folder, name, Path(stem).suffix) for name in _shard_names(index)]
    return []


def _shard_names(index: Path) -> list[str]:
    try:
        return sorted(set(msgspec.json.decode(read_bounded(index), type=_Index).weight_map.values()))
    except msgspec.DecodeError as error:
        raise ModelError(f"{shown(index)} is no index of weights ({error}): download it again") from error


def _shard(folder: Path, name: str, suffix: str) -> Path:
    """The file of that name in the folder; in the hub's cache it is a link to a blob."""
    if not name.endswith(suffix):  # transformers would take it for a pickle
        raise ModelError(
            f"folder {shown(folder)} has an index that names {name!r}, where a {suffix} file belongs"
        )
    path, real = folder / name, (folder / name).resolve()
    is_blob = real.parent.name == "blobs" and real.parent.parent.name.startswith("models--")
    is_named_inside = not PurePath(name).is_absolute() and ".." not in PurePath(name).parts
    if not is_named_inside or not (is_blob or real.is_relative_to(folder.resolve())):
        raise ModelError(
            f"folder {shown(folder)} has an index that names {name!r}, which lies outside of it: that was not read"
        )
    return path


def read_bounded(file: Path) -> bytes:
    """The whole content of a JSON file.

    Raises:
        ModelError: the file is larger than any such file.
    """
    _check_size(file, MOST_JSON)
    return file.read_bytes()


def _check_size(file: Path, most: int) -> None:
    """Refuse a file that would take the machine's memory."""
    if (size := file.stat().st_size) > most:
        raise ModelError(
            f"{shown(file)} has {size:,} bytes, where {most:,} are the most for a file of its kind"
        )


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _on_hub(name: str, revision: str | None) -> tuple[str, list[str]]:
    """The id and its files if the hub answers, else the folder of the local cache.

    The hub is asked once and briefly, as each file's own retries would take a minute without a network.

    Raises:
        ModelError: the hub says that there is no such model or revision, or neither hub nor cache has it.
    """
    try:
        found = HfApi().model_info(name, revision=revision, timeout=10)
        return name, [file.rfilename for file in found.siblings or () if "/" not in file.rfilename]
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the Hugging Face hub has no model {name!r}, or you may not see it: check the name, or log in"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"model {name!r} has no revision {revision!r}: give a branch, tag or commit"
        ) from error
    except HFValidationError as error:
        raise ModelError(f"no folder {name!r}, and it is not a Hugging Face id such as owner/name") from error
    except Exception:  # noqa: BLE001 -- no network, offline mode, a proxy's nonsense: each library's own errors
        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except Exception as error:
            raise ModelError(
                f"model {name!r} is no folder, not in the local cache, and the Hugging Face hub does not answer: "
                "check the name and the network"
            ) from error
        return str(folder), _names(folder)
