"""Whether the model continues correctly from its key-value cache, tried on a few tokens at load.

Enters: a loaded model. Leaves: ``config.use_cache``, which :func:`icltui.engine.measure.forward_pass.forward`
follows, and
the reason where it is False. A model's own code may only know the caches of another version of transformers; then every
row runs again from its start, which is exact, and slow.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.measure.forward_pass import KVCache, forward
from icltui.engine.measure.packing_check import reporting_passes, sample_ids
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values.errors import EngineError, ForwardError, IcltuiError, ModelError

SHARES = {torch.float32: 1e-2, torch.float64: 1e-2}
"""The error allowed for logits after a cache, as a share of the whole row's logits' spread; other dtypes: a half.

A cache that is ignored costs about all of the spread; rounding alone may cost a tenth in half precision."""
_STAGE, _N_PASSES = "trying its cache", 5


@torch.inference_mode()
def check_kv_cache(loaded: LoadedModel, on_progress: ProgressCallback = ignore_progress) -> str:
    """Why the model's cache is not used; empty where it is.

    Raises:
        ForwardError: the model's own code fails without a cache, too.
        ModelError: the model's logits are not finite, or the memory does not suffice.
    """
    model = loaded.model
    model.config.use_cache = True
    with reporting_passes(loaded, on_progress, _STAGE, _N_PASSES):
        ids = sample_ids(loaded, n_context=4, n_query=3)
        whole = _whole(loaded, ids.full)
        try:
            reason = _miss(loaded, whole, _after_cache(model, [*ids.prefix, *ids.context], ids.query))
        except ForwardError as error:
            reason = str(error)
        except (IcltuiError, LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            reason = f"its cache is none that could be gone on from ({type(error).__name__})"
    model.config.use_cache = not reason
    return reason


def _whole(loaded: LoadedModel, row: list[int]) -> Float[Tensor, " vocabulary"]:
    try:
        return forward(loaded.model, row)
    except EngineError as error:
        raise ModelError(f"{type(loaded.model).__name__} cannot be explored: {error}") from error


def _after_cache(model: object, before: list[int], query: tuple[int, ...]) -> Float[Tensor, " vocabulary"]:
    """Logits after the last of ``query``, whose tokens go in one by one, as when text is generated."""
    cache = KVCache()
    logits = forward(model, before, cache)
    for token in query:
        logits = forward(model, [token], cache)
    return logits


def _miss(
    loaded: LoadedModel, whole: Float[Tensor, " vocabulary"], cached: Float[Tensor, " vocabulary"]
) -> str:
    spread, missed = (whole - whole.mean()).norm(), (cached - whole).norm()
    if missed <= SHARES.get(loaded.dtype, 0.5) * spread:
        return ""
    return f"its logits after its cache are not those of the whole text (they miss by {float(missed / spread):.0%})"
