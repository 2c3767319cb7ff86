"""An adapter, read back by PEFT and compared with the patch.

Enters: a model that no patch has touched, the adapter's folder, and the patch's logits. Leaves: the largest
difference; the model has its own modules again. The check is needed, as PEFT loads zeros for a wrong name and only
warns.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from icltui.engine.export.peft import WEIGHTS
from icltui.engine.export.reference_logits import ReferenceLogits
from icltui.values.errors import EngineError, ModelError


def check_peft() -> None:
    """Refuses, before any work, an adapter that cannot be checked after it.

    Raises:
        ModelError: PEFT is missing.
    """
    if find_spec("peft") is None:
        raise ModelError(
            "writing an adapter needs peft, which is not installed: pip install 'icltui[export]'"
        )


def compare_with_peft(model: Any, folder: Path, references: ReferenceLogits) -> float:
    """L∞ between the logits of ``model`` with the adapter in it and the patch's.

    Raises:
        EngineError: PEFT does not load the adapter, or loads something else than the patch.
    """
    bare = references.run(model)
    with with_adapter(model, folder):
        loaded = references.run(model)
    if torch.equal(bare, loaded) and references.effect > 0:
        raise EngineError(
            "read back by PEFT, the adapter does nothing where the patch does: nothing was kept"
        )
    return references.check(loaded, "read back by PEFT, the adapter's logits")


@contextmanager
def with_adapter(model: Any, folder: Path) -> Iterator[None]:
    """The adapter acts inside the ``with`` block; after it the model has its own modules again.

    Raises:
        EngineError: PEFT does not load the adapter, or only a part.
    """
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the checks below cover its warnings
            wrapped = PeftModel.from_pretrained(model, folder)
    except Exception as error:  # whatever PEFT raises, it cannot use the adapter
        reason = " ".join(str(error).split())[:200]
        raise EngineError(f"PEFT cannot load the adapter: {type(error).__name__}: {reason}") from error
    try:
        found = get_peft_model_state_dict(wrapped, save_embedding_layers=False)  # else it asks the hub
        for name, tensor in load_file(folder / WEIGHTS).items():
            if name not in found or not torch.equal(found[name].cpu().to(tensor.dtype), tensor):
                raise EngineError(f"PEFT leaves {name} of the adapter aside: nothing was kept")
        yield
    finally:
        wrapped.unload()
