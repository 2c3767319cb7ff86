"""Load a Hugging Face model for exploring.

Enters: a :class:`~icltui.api.messages.LoadModel` request. Leaves: events, and at last a
:class:`~icltui.engine.models.loaded_model.LoadedModel`: its weights complete and untouched, made outside of inference
mode. Its size is known before, and can be had alone.
"""

import gc
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available, logging

from icltui.api.messages import Event, LoadModel, ModelEstimated, Progress
from icltui.api.progress import ProgressCallback
from icltui.engine.models.auto_dtype import choose_dtype, stored_dtype
from icltui.engine.models.background import Cancelled, run_in_background
from icltui.engine.models.checkpoint import CONFIG, Source, find_source, weight_files
from icltui.engine.models.config_check import check_claims, check_config
from icltui.engine.models.device import free_bytes, pick_device, pick_dtype
from icltui.engine.models.load_progress import Meter
from icltui.engine.models.loaded_model import LoadedModel, wrap_model
from icltui.engine.models.memory_estimate import Stored, estimate, misfit, stored_tensors
from icltui.engine.models.unexpected_keys import learned
from icltui.values import Estimate
from icltui.values.errors import BadInput, IcltuiError, ModelError, panicked

_NO_ADAPTER = {"subfolder": CONFIG}
"""Where transformers looks for a LoRA to attach: below a file nothing can lie, so that what is loaded is the base, and
the same whether PEFT is installed or not."""


@dataclass(frozen=True)
class _Prepared:
    """A model that is in order, as far as can be seen without reading its weights."""

    source: Source
    config: Any
    stored: dict[str, Stored]
    device: torch.device
    how: dict[str, Any]
    """In which numbers its weights are read, and to where."""
    dtype_reason: str = ""
    """Why ``auto`` is not simply the checkpoint's own dtype."""
    estimate: Estimate | None = None
    """None where it cannot be known."""
    misfit: str = ""
    """Why the model does not fit into memory; empty where it does."""


def load(
    request: LoadModel, make_room: Callable[[], None] = lambda: None
) -> Generator[Event, None, LoadedModel]:
    """Yields the events of loading and returns the model that ``request`` names; closing the generator cancels it.

    ``make_room`` is called, in another thread, when all but the weights is found to be in order.

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
    """The events of loading up to the model's size, and nothing loaded.

    ``held`` says how many bytes of a device's memory become free once the present model makes room.

    Raises:
        BadInput, ModelError: as :func:`load` does up to there.
    """
    yield from _announce(request, (yield from run_in_background(partial(_look_up, request, held))))


def _look_up(
    request: LoadModel, held: Callable[[torch.device], int], on_progress: ProgressCallback
) -> _Prepared:
    on_progress(f"looking at {request.model}")
    with _plain_errors(request):
        prepared = _find(request)
        freed = held(prepared.device)
        return _estimated(request, _settled(request, prepared, freed), freed)


def _prepare(
    request: LoadModel, make_room: Callable[[], None], on_progress: ProgressCallback
) -> tuple[_Prepared, Any]:
    """Everything but the weights, and the tokenizer."""
    on_progress(f"loading {request.model}")
    with _plain_errors(request):
        prepared = _find(request)
        tokenizer = _tokenizer(request, prepared.source)
        on_progress(
            f"loading {request.model}"
        )  # raises where the load was cancelled: then nothing makes room
        make_room()
        gc.collect()  # the model before this one, whose memory is counted on
        return _estimated(request, _settled(request, prepared)), tokenizer


def _announce(request: LoadModel, prepared: _Prepared) -> Iterator[Event]:
    """The model's size, where it is known, and a refusal where it cannot fit."""
    if prepared.estimate is None:
        yield Progress(stage=f"loading {request.model}, of unknown size", done=0, total=0)
        return
    yield ModelEstimated(estimate=prepared.estimate)
    if prepared.misfit:
        raise ModelError(prepared.misfit)


def _load(
    request: LoadModel, prepared: _Prepared, tokenizer: Any, on_progress: ProgressCallback
) -> LoadedModel:
    with _plain_errors(request):
        model = _read(request, prepared, on_progress)
    own = stored_dtype(prepared.config, prepared.stored)
    return replace(
        wrap_model(model, tokenizer, request.model, request.revision, request.sites),
        stored_dtype=str(own).removeprefix("torch.") if own else "",
        dtype_reason=prepared.dtype_reason,
        has_adapter=prepared.source.has_adapter,
    )


def _find(request: LoadModel) -> _Prepared:
    if request.device_map != "none" and request.device != "auto":
        raise BadInput(
            f"--device {request.device} and --device-map {request.device_map} both say where the model goes: give one"
        )
    device = pick_device(request.device)
    how = {"dtype": pick_dtype(request.dtype), **_quantization(request), **_place(request, device)}
    source = find_source(request)
    check_config(request.model, source.config_file)
    config = AutoConfig.from_pretrained(source.place, **source.arguments)
    auto_class, stored = _auto_class(request.model, config), stored_tensors(source)
    if not (source.trusts_code and getattr(config, "auto_map", None)):  # that may do anything anyway
        check_claims(request.model, config, stored, auto_class)
    return _Prepared(source, config, stored, device, how)


def _settled(request: LoadModel, found: _Prepared, held: int = 0) -> _Prepared:
    """The same, its dtype chosen for this machine; ``held`` bytes will be free besides."""
    free, on_cpu = free_bytes(found.device, request.device_map), found.device.type == "cpu"
    room = None if free is None else free + held
    dtype, reason = choose_dtype(request, found.config, found.stored, on_cpu, room)
    return replace(found, how={**found.how, "dtype": dtype}, dtype_reason=reason)


def _tokenizer(request: LoadModel, source: Source) -> Any:
    """The model's tokenizer.

    Raises:
        ModelError: it has none, where transformers fails for some models and makes an empty one for others.
    """
    tokenizer = None
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.place, **source.arguments)
    except ValueError as error:
        if "instantiate the backend tokenizer" not in str(error):
            raise
    if tokenizer is None or tokenizer.get_vocab().keys() <= tokenizer.get_added_vocab().keys():
        raise ModelError(
            f"model {request.model!r} has no tokenizer: tokenizer.json was expected beside config.json"
        )
    return tokenizer


def _read(request: LoadModel, found: _Prepared, on_progress: ProgressCallback) -> Any:
    meter = Meter(request.model, {name: tensor.n_bytes for name, tensor in found.stored.items()}, on_progress)
    how = dict(found.how)
    if how["dtype"] == torch.float64:
        how["experts_implementation"] = "eager"  # grouped kernels for mixtures of experts do not know float64
    with meter.watching():
        model, report = _auto_class(request.model, found.config).from_pretrained(
            found.source.place,
            config=found.config,
            use_safetensors=None if request.allow_pickle else True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            tqdm_class=meter.download_bar(),
            adapter_kwargs=_NO_ADAPTER,
            **found.source.arguments,
            **how,
        )
    _check_complete(request.model, report, model, lambda: _files(found.source))
    return model


def _files(source: Source) -> list[Path]:
    """Those that were read, wherever they are."""
    folder = source.folder
    if folder is None:
        folder = Path(snapshot_download(source.place, revision=source.revision, local_files_only=True))
    return weight_files(folder)


def _auto_class(name: str, config: Any) -> Any:
    """The class that makes a text decoder of ``config``, inside of a multimodal wrapper if need be."""
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


def _place(request: LoadModel, device: torch.device) -> dict[str, Any]:
    """Straight to where it belongs, so that no copy passes through the main memory."""
    if request.device_map != "none":
        return {"device_map": request.device_map}
    if device.type == "cpu" and request.quantize == "none":
        return {}
    return {"device_map": {"": device}}


def _quantization(request: LoadModel) -> dict[str, Any]:
    """bitsandbytes' settings, where they are asked for.

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
    getLogger("bitsandbytes").setLevel(ERROR)  # it would tell of its casts at every layer of every pass
    return {"quantization_config": BitsAndBytesConfig(**{f"load_in_{request.quantize}": True})}


def _estimated(request: LoadModel, found: _Prepared, held: int = 0) -> _Prepared:
    """The same, with what the model will take, where that can be known; ``held`` bytes will be free besides."""
    device, on_cpu = found.device, found.device.type == "cpu"
    if free_bytes(device, request.device_map) is None or not found.stored:
        return found

    def size_of(asked: LoadModel) -> Estimate:
        free = (free_bytes(device, asked.device_map) or 0) + held
        dtype = found.how["dtype"] if asked.dtype == request.dtype else pick_dtype(asked.dtype)
        return estimate(found.stored, found.config, asked, dtype, free, on_cpu)

    return replace(found, estimate=size_of(request), misfit=misfit(request, size_of))


def _check_complete(name: str, found: dict[str, Any], model: Any, files: Callable[[], list[Path]]) -> None:
    """Refuse weights that do not fill the model, which transformers would fill with noise, with only a warning.

    Constants that an older version of the architecture saved may stay out.

    Raises:
        ModelError: naming the first that is missing, of another shape, or of a layer that the model lacks.
    """
    stacks = {_stack(key) for key, _ in model.named_parameters()}
    faults = [f"{key} is missing" for key in sorted(found["missing_keys"])]
    faults += [f"{key[0]} is of another shape" for key in sorted(found["mismatched_keys"])]
    placeless = [key for key in found["unexpected_keys"] if _belongs(key, stacks)]
    faults += [f"{key} has no place" for key in learned(placeless, model, files() if placeless else ())]
    if faults:
        raise ModelError(
            f"model {name!r} has weights that do not fit its config.json: {faults[0]}"
            + (f", and {len(faults) - 1} more" if len(faults) > 1 else "")
        )


def _stack(key: str) -> str:
    """``model.layers.`` of ``model.layers.3.mlp.up_proj.weight``; empty where there is no number."""
    match = re.search(r"\.\d+\.", f".{key}")
    return f".{key}"[: match.start() + 1] if match else ""


def _belongs(key: str, stacks: set[str]) -> bool:
    """Whether the weight is of a stack of layers that the model has; others, such as a vision tower, may stay out."""
    stack = _stack(key)
    return bool(stack) and any(known.endswith(stack) for known in stacks)


@contextmanager
def _plain_errors(request: LoadModel) -> Iterator[None]:
    """Whatever goes wrong in loading becomes one line; progress bars and warnings stay off the wire."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Without it transformers would ask a service of the hub to convert pickles, and load what that offers.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    name = request.model
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"model {name!r} does not fit into memory: try --dtype bfloat16, --device cpu or a smaller model"
        ) from error
    except (IcltuiError, Cancelled):
        raise
    except SafetensorError as error:
        raise ModelError(
            f"model {name!r} has a safetensors file that is damaged or cut off: download it again ({error})"
        ) from error
    except UnpicklingError as error:  # torch's own words would say how to run the code
        raise ModelError(
            f"model {name!r} has a pickle that is damaged or holds more than tensors: it was not read"
        ) from error
    except Exception as error:
        if "trust_remote_code=True" in str(error):
            raise ModelError(
                f"model {name!r} comes with code of its own, which was not run: if you trust it, give "
                "--trust-remote-code"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {name!r} could not be loaded: {type(error).__name__}: {reason}") from error
    except SystemExit as error:  # of its own code, as this thread is none that anybody else would end
        raise ModelError(
            f"model {name!r} comes with code that ends the program: it was not loaded"
        ) from error
    except BaseException as error:
        if (plain := panicked(error)) is None:
            raise
        raise ModelError(f"model {name!r} could not be loaded: {plain}") from error
