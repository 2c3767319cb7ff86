"""*heads* as a stream of events.

Enters: a loaded model and a request. Leaves: the prompt's tokens, progress, the heads.
"""

from collections.abc import Iterator
from functools import partial

import torch

from icltui.api.messages import Event, HeadsEnded, MeasureHeads, PromptTokenized
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.generate.prepare_request import PromptInputs, prepare_inputs
from icltui.engine.heads.measure_heads import measure_heads
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import AttentionHeads, Path


def run_heads(loaded: LoadedModel, request: MeasureHeads, path: Path) -> Iterator[Event]:
    """The scores of the model's heads, and what each brings of the prompt's context.

    Raises:
        BadInput: a prompt that cannot be run, or more numbers than can be shown.
    """
    prepared = prepare_inputs(loaded, request.prompt, request.layers)
    yield PromptTokenized(tokens=prepared.tokens)
    heads = yield from run_in_background(partial(_measure, loaded, prepared, request, path))
    yield HeadsEnded(heads=heads)


@torch.inference_mode()
def _measure(
    loaded: LoadedModel,
    prepared: PromptInputs,
    request: MeasureHeads,
    path: Path,
    on_progress: ProgressCallback,
) -> AttentionHeads:
    return measure_heads(loaded, prepared, request, path, on_progress)
