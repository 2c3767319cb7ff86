"""Load a Hugging Face model for exploring.

Enters: a :class:`~icltui.api.messages.LoadModel` request. Leaves: events, and at last a
:class:`~icltui.engine.models.loaded_model.LoadedModel`: its weights complete and untouched, made outside of inference
mode. Its size is known before, and can be requested alone.
"""

import gc
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available

from icltui.api.messages import Event, LoadModel, ModelEstimated, Progress
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.models.auto_dtype import choose_dtype, stored_dtype
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.checkpoint import CONFIG, Checkpoint, find_checkpoint, weight_files
from icltui.engine.models.config_size_check import check_claims, check_config
from icltui.engine.models.device import free_bytes, pick_device, pick_dtype
from icltui.engine.models.gguf_config import complete_config
from icltui.engine.models.gguf_file import gguf_notes
from icltui.engine.models.gguf_tokenizer import split_as_file
from icltui.engine.models.load_errors import plain_errors
from icltui.engine.models.load_progress import LoadProgress
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.engine.models.memory_estimate import estimate_memory, shortage
from icltui.engine.models.stored_tensors import StoredTensor, stored_tensors
from icltui.engine.models.weights_check import check_all_used, check_weights
from icltui.values import Estimate
from icltui.values.errors import BadInput, ModelError

_NO_ADAPTER = {"subfolder": CONFIG}
"""Where transformers looks for a LoRA to attach: below a file, where none can be, so that the base model is loaded,
with PEFT installed or without."""


@dataclass(frozen=True)
class _Prepared:
    """A model that is in order, as far as can be seen without reading its weights."""

    checkpoint: Checkpoint
    config: Any
    stored: Mapping[str, StoredTensor]
    device: torch.device
    kwargs: Mapping[str, Any]
    """Arguments of ``from_pretrained``: the dtype and the device of the weights."""
    dtype_reason: str = ""
    """Why ``auto`` is not the checkpoint's own dtype."""
    estimate: Estimate | None = None
    """The model's size in memory; None where it cannot be known."""
    shortage: str = ""
    """Why the model does not fit into memory; empty where it does."""


def load(
    request: LoadModel, make_room: Callable[[], None] = lambda: None
) -> Generator[Event, None, LoadedModel]:
    """Yields the events of loading and returns the model that ``request`` names; closing the generator cancels it.

    ``make_room`` is called, in another thread, when all but the weights is checked.

    Raises:
        BadInput: an unknown dtype or device, or options that contradict each other.
        ModelError: no such model, no weights, weights that do not fit, or blocks without an MLP.
    """
    prepared, tokenizer = yield from run_in_background(partial(_prepare, request, make_room))
    yield from _announce(request, prepared)
    return (yield from run_in_background(partial(_load, request, prepared, tokenizer)))


def estimate_model(
    request: LoadModel, held: Callable[[torch.device], int] = lambda _device: 0
) -> Iterator[Event]:
    """The events of loading up to the model's size; nothing is loaded.

    ``held`` says how many bytes of a device's memory become free once the present model makes room.

    Raises:
        BadInput, ModelError: as :func:`load`, up to the size.
    """
    yield from _announce(request, (yield from run_in_background(partial(_look_up, request, held))))


def _look_up(
    request: LoadModel, held: Callable[[torch.device], int], on_progress: ProgressCallback
) -> _Prepared:
    on_progress(f"looking at {request.model}")
    with plain_errors(request.model):
        prepared = _find(request)
        return _estimated(request, prepared, held(prepared.device))


def _prepare(
    request: LoadModel, make_room: Callable[[], None], on_progress: ProgressCallback
) -> tuple[_Prepared, Any]:
    """Everything but the weights, and the tokenizer."""
    on_progress(f"loading {request.model}")
    with plain_errors(request.model):
        prepared = _find(request)
        tokenizer = _tokenizer(request, prepared.checkpoint)
        on_progress(
            f"loading {request.model}"
        )  # raises where the load was cancelled: then nothing makes room
        make_room()
        gc.collect()  # the present model, whose memory is counted as free
        return _estimated(request, prepared), tokenizer


def _announce(request: LoadModel, prepared: _Prepared) -> Iterator[Event]:
    """The model's size, where it is known, and a refusal where it does not fit."""
    if prepared.estimate is None:
        yield Progress(stage=f"loading {request.model}, of unknown size", done=0, total=0)
        return
    yield ModelEstimated(estimate=prepared.estimate)
    if prepared.shortage:
        raise ModelError(prepared.shortage)


def _load(
    request: LoadModel, prepared: _Prepared, tokenizer: Any, on_progress: ProgressCallback
) -> LoadedModel:
    with plain_errors(request.model):
        model = _read(request, prepared, on_progress)
    return replace(
        wrap_model(model, tokenizer, request.model, request.revision, request.sites),
        stored_dtype=_stored_as(prepared),
        dtype_reason=prepared.dtype_reason,
        has_adapter=prepared.checkpoint.has_adapter,
        gguf=prepared.checkpoint.gguf,
        notes=gguf_notes(prepared.checkpoint.gguf) if prepared.checkpoint.gguf else (),
    )


def _stored_as(prepared: _Prepared) -> str:
    """The name of what the weights are stored in, Q4_1 for instance; empty where it is not known."""
    header = prepared.checkpoint.gguf
    if header is not None and header.blocks:
        return header.blocks
    own = stored_dtype(prepared.config, prepared.stored)
    return str(own).removeprefix("torch.") if own else ""


def _find(request: LoadModel) -> _Prepared:
    if request.device_map != "none" and request.device != "auto":
        raise BadInput(
            f"--device {request.device} and --device-map {request.device_map} both say where the model goes: give one"
        )
    device = pick_device(request.device)
    checkpoint = find_checkpoint(request)
    kwargs = {"dtype": pick_dtype(request.dtype), **_quantization(request), **_device_map(request, device)}
    config = _config(request.model, checkpoint)
    auto_class, stored = _auto_class(request.model, config), stored_tensors(checkpoint)
    if not (checkpoint.trusts_code and getattr(config, "auto_map", None)):  # such code may do anything anyway
        check_claims(request.model, config, stored, auto_class)
    return _Prepared(checkpoint, config, stored, device, kwargs)


def _config(name: str, checkpoint: Checkpoint) -> Any:
    if checkpoint.gguf is None:
        check_config(name, checkpoint.config_file)
    with checkpoint.opened() as place:
        config = AutoConfig.from_pretrained(**place)
    if checkpoint.gguf is not None:
        complete_config(checkpoint.gguf, config)
    return config


def _estimated(request: LoadModel, found: _Prepared, held: int = 0) -> _Prepared:
    """``found`` with its dtype and its size on this machine, where ``held`` more bytes will be free."""
    device, on_cpu = found.device, found.device.type == "cpu"
    free = free_bytes(device, request.device_map) + held
    blocks = found.checkpoint.gguf.blocks if found.checkpoint.gguf else ""
    dtype, reason = choose_dtype(request, found.config, found.stored, on_cpu, free, blocks)
    found = replace(found, kwargs={**found.kwargs, "dtype": dtype}, dtype_reason=reason)
    if not found.stored:
        return found

    def size_of(asked: LoadModel) -> Estimate:
        available = free_bytes(device, asked.device_map) + held
        asked_dtype = dtype if asked.dtype == request.dtype else pick_dtype(asked.dtype)
        return estimate_memory(found.stored, found.config, asked, asked_dtype, available, on_cpu)

    return replace(found, estimate=size_of(request), shortage=shortage(request, size_of))


def _tokenizer(request: LoadModel, checkpoint: Checkpoint) -> Any:
    """The model's tokenizer.

    Raises:
        ModelError: it has none, where transformers fails for some models and makes an empty one for others.
    """
    tokenizer = None
    try:
        with checkpoint.opened() as place:
            tokenizer = AutoTokenizer.from_pretrained(**place)
    except ValueError as error:
        if "instantiate the backend tokenizer" not in str(error):
            raise
    if tokenizer is None or len(tokenizer) <= len(tokenizer.get_added_vocab()):
        raise ModelError(
            f"model {request.model!r} has no tokenizer: tokenizer.json was expected beside config.json"
        )
    if checkpoint.gguf is not None:
        split_as_file(checkpoint.gguf, tokenizer)
    return tokenizer


def _read(request: LoadModel, prepared: _Prepared, on_progress: ProgressCallback) -> Any:
    sizes = {name: tensor.n_bytes for name, tensor in prepared.stored.items()}
    progress, kwargs = LoadProgress(request.model, sizes, on_progress), dict(prepared.kwargs)
    if kwargs["dtype"] == torch.float64:
        kwargs["experts_implementation"] = (
            "eager"  # grouped kernels for mixtures of experts do not know float64
        )
    with progress.counting_weights(), prepared.checkpoint.opened(progress.count_tensors) as place:
        model, report = _auto_class(request.model, prepared.config).from_pretrained(
            config=prepared.config,
            use_safetensors=None if request.allow_pickle else True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the weights check refuses them by name
            tqdm_class=progress.download_bar(),
            adapter_kwargs=_NO_ADAPTER,
            **place,
            **kwargs,
        )
    model.name_or_path = model.config.name_or_path = prepared.checkpoint.name_or_path
    check_weights(request.model, report, model, lambda: _files(prepared.checkpoint))
    if prepared.checkpoint.gguf is not None:
        check_all_used(prepared.checkpoint.gguf, model)
    return model


def _files(checkpoint: Checkpoint) -> list[Path]:
    """The weight files that were read, in a folder or in the hub's cache; none of a GGUF."""
    if checkpoint.gguf is not None:
        return []
    folder = checkpoint.folder or Path(
        snapshot_download(checkpoint.name_or_path, revision=checkpoint.revision, local_files_only=True)
    )
    return weight_files(folder)


def _auto_class(name: str, config: Any) -> Any:
    """The class that makes a text decoder of ``config``, alone or inside a multimodal wrapper."""
    own = getattr(config, "auto_map", None) or {}
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING or "AutoModelForCausalLM" in own:
        return transformers.AutoModelForCausalLM
    wraps = type(config) in transformers.MODEL_FOR_MULTIMODAL_LM_MAPPING or "AutoModelForMultimodalLM" in own
    if not wraps or config.is_encoder_decoder:
        raise ModelError(
            f"model {name!r} is of type {config.model_type!r}, which generates no text by itself: "
            "a causal language model is needed"
        )
    return transformers.AutoModelForMultimodalLM


def _device_map(request: LoadModel, device: torch.device) -> dict[str, Any]:
    """Arguments that load straight to the device, so that no copy passes through the main memory."""
    if request.device_map != "none":
        return {"device_map": request.device_map}
    if device.type == "cpu" and request.quantize == "none":
        return {}
    return {"device_map": {"": device}}


def _quantization(request: LoadModel) -> dict[str, Any]:
    """The configuration of bitsandbytes, where it is asked for.

    Raises:
        ModelError: bitsandbytes is missing, or too old for transformers.
    """
    if request.quantize == "none":
        return {}
    if not is_bitsandbytes_available():
        raise ModelError(
            f"--quantize {request.quantize} needs bitsandbytes, which is missing or too old here: "
            "pip install 'icltui[quantize]'"
        )
    getLogger("bitsandbytes").setLevel(ERROR)  # else it warns of its casts at every layer and pass
    return {"quantization_config": BitsAndBytesConfig(**{f"load_in_{request.quantize}": True})}
