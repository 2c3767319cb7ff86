"""Load a Hugging Face causal LM for exploring.

Enters: a :class:`~icltui.api.LoadModel` request. Leaves: a :class:`LoadedModel`, its weights untouched and in
evaluation mode, with its sites, its fingerprint and its facts.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from icltui import __version__
from icltui.api import DEMO, LoadModel
from icltui.demo import MODEL_DIR
from icltui.engine.site import Site, find_sites
from icltui.errors import BadInput, ModelError
from icltui.record import ModelInfo

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


@dataclass(frozen=True)
class LoadedModel:
    """A model that can be explored."""

    model: Any
    """The ``PreTrainedModel``; typed Any, as its many forward signatures differ."""
    tokenizer: Any
    sites: tuple[Site, ...]
    name: str
    revision: str | None
    window: int | None
    """Longest sequence in tokens, or None when the positions are not bounded."""

    @property
    def device(self) -> torch.device:
        """Where token ids go in."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype

    def describe(self, path: Any) -> ModelInfo:
        """The facts that a session remembers; ``path`` is how prefixes will be measured."""
        return ModelInfo(
            name=self.name,
            revision=self.revision,
            fingerprint=fingerprint(self.model),
            architecture=type(self.model).__name__,
            n_layers=len(self.sites),
            hidden_size=int(self.model.get_input_embeddings().weight.shape[1]),
            n_parameters=sum(p.numel() for p in self.model.parameters()),
            dtype=str(self.dtype).removeprefix("torch."),
            device=str(self.device),
            window=self.window,
            path=path,
            versions={
                "icltui": __version__,
                "torch": str(torch.__version__),
                "transformers": version("transformers"),
            },
        )


def load(request: LoadModel) -> LoadedModel:
    """Load the model that ``request`` names.

    Raises:
        BadInput: an unknown dtype or device.
        ModelError: no such model, no weights, weights that do not fit, or blocks without an MLP.
    """
    device, dtype = pick_device(request.device), pick_dtype(request.dtype)
    source = _locate(request.model)
    with _plain_errors(request.model):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where = {
            "revision": request.revision,
            "local_files_only": not _is_on_hub(source, request.revision),
            "trust_remote_code": False,  # None would ask on stdin, and run the model's own code on a y
        }
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        # Grouped kernels for mixtures of experts do not know float64.
        extra = {"experts_implementation": "eager"} if dtype == torch.float64 else {}
        model, found = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, use_safetensors=True, output_loading_info=True, **where, **extra
        )
        _check_complete(request.model, found)
        model.to(device)
    return adopt(model, tokenizer, request.model, request.revision)


def adopt(model: Any, tokenizer: Any, name: str, revision: str | None = None) -> LoadedModel:
    """A model that is already in memory, as :func:`load` would give it. Gradients are switched off.

    Raises:
        ModelError: the tokenizer gives no offsets, or the blocks have no MLP.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"model {name!r} has a tokenizer without character offsets: icltui needs one with tokenizer.json"
        )
    model.eval().requires_grad_(False)
    if not model.config.architectures:  # what the layout of the blocks is known by
        model.config.architectures = [type(model).__name__]
    text_config = model.config.get_text_config(decoder=True)
    window = getattr(text_config, "max_position_embeddings", None)
    return LoadedModel(model, tokenizer, find_sites(model), name, revision, window)


def pick_device(text: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` names.

    Raises:
        BadInput: no such device here.
    """
    if text == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.ones(1, device=device).item()  # meta has no values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInput(
            f"device {text!r} is not to be had here: use auto, cpu, cuda, cuda:N or mps"
        ) from error
    return device


def pick_dtype(text: str) -> Any:
    """``auto`` (as the checkpoint was saved) or the torch dtype of that name.

    Raises:
        BadInput: an unknown name.
    """
    if text != "auto" and text not in DTYPES:
        raise BadInput(f"dtype {text!r} not known: use auto, {', '.join(DTYPES)}")
    return DTYPES.get(text, "auto")


def fingerprint(model: nn.Module) -> str:
    """A hash of every parameter's name, shape and type and of up to 1,024 of its values, evenly spread.

    Sampled, so that it takes no noticeable time on any model; a fine-tune changes it all the same.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        flat = parameter.detach().flatten()
        picked = flat[:: max(1, flat.numel() // 1024)][:1024]
        if picked.is_floating_point():
            picked = picked.double()
        digest.update(picked.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _locate(name: str) -> str:
    """The folder or id to load; a folder is checked first, so that its faults are named plainly."""
    folder = MODEL_DIR if name == DEMO else Path(name).expanduser()
    if not folder.is_dir():
        if name == DEMO:
            raise ModelError("the embedded model is missing from this installation: reinstall icltui")
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise ModelError(f"no folder {name!r}: give a folder with config.json, or a Hugging Face id")
        return name
    if not (folder / "config.json").is_file():
        raise ModelError(f"folder {name!r} has no config.json: it is not a Hugging Face model folder")
    if not any(path for pattern in _WEIGHTS for path in folder.glob(pattern)):
        raise ModelError(f"folder {name!r} has no weights: model.safetensors was expected beside config.json")
    return str(folder)


def _check_complete(name: str, found: dict[str, Any]) -> None:
    """Refuse weights that do not fill the model, which transformers would fill with noise, with only a warning.

    Raises:
        ModelError: naming the first that is missing, of another shape, or of a layer that the model lacks.
    """
    faults = [f"{key} is missing" for key in sorted(found["missing_keys"])]
    faults += [f"{key[0]} is of another shape" for key in sorted(found["mismatched_keys"])]
    faults += [
        f"{key} has no place" for key in sorted(found["unexpected_keys"]) if re.search(r"\.\d+\.", key)
    ]
    if faults:
        raise ModelError(
            f"model {name!r} has weights that do not fit its config.json: {faults[0]}"
            + (f", and {len(faults) - 1} more" if len(faults) > 1 else "")
        )


def _is_on_hub(source: str, revision: str | None) -> bool:
    """Whether the hub answers for this id; when it cannot be asked, what is in the local cache must do.

    Asked once and briefly, as each file's own retries would take a minute without a network.

    Raises:
        ModelError: the hub says that there is no such model or revision.
    """
    if Path(source).is_dir():
        return False
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        HfApi().model_info(source, revision=revision, timeout=10)
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the Hugging Face hub has no model {source!r}, or you may not see it: check the name, or log in"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"model {source!r} has no revision {revision!r}: give a branch, tag or commit"
        ) from error
    except HFValidationError as error:
        raise ModelError(
            f"no folder {source!r}, and it is not a Hugging Face id such as owner/name"
        ) from error
    except Exception:  # noqa: BLE001 -- no network, offline mode, a proxy's nonsense: each library's own errors
        return False
    return True


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Whatever goes wrong in loading becomes one line; progress bars and warnings stay off the wire."""
    from transformers.utils import logging

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"model {name!r} does not fit into memory: try --dtype bfloat16, --device cpu or a smaller model"
        ) from error
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"model {name!r} could not be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of ``error`` that says something, in words of the user where the cause is known."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and ("is not a local folder" in text or "couldn't connect" in text):
        return "no such folder, not in the local cache, and the Hugging Face hub does not answer (check both)"
    return f"{type(error).__name__}: {text[:200]}"
