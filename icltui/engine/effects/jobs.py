"""*effects* as a stream of events.

Enters: a loaded model and a request. Leaves: the prompt's tokens, progress, units as they come, the effects.
"""

from collections.abc import Iterator

import torch

from icltui.api.messages import EffectsEnded, Event, MeasureEffects, PromptTokenized
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.effects.measure_effects import measure_effects
from icltui.engine.generate.prepare_request import prepare_inputs
from icltui.engine.models.background_thread import Send, stream_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import PatchEffects, Path


def run_effects(loaded: LoadedModel, request: MeasureEffects, path: Path) -> Iterator[Event]:
    """How near the answer comes where the patch of one layer acts alone, by layer and unit.

    Raises:
        BadInput: a prompt that cannot be run, without a context, or with too many layers times units.
    """
    prepared = prepare_inputs(loaded, request.prompt, request.layers)
    yield PromptTokenized(tokens=prepared.tokens)

    @torch.inference_mode()
    def work(on_progress: ProgressCallback, send: Send) -> PatchEffects:
        return measure_effects(loaded, prepared, request, path, send, on_progress)

    effects = yield from stream_in_background(work)
    yield EffectsEnded(effects=effects)
