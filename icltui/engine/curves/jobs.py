"""*curves* as a stream of events.

Enters: a loaded model and a request. Leaves: the text's tokens, progress, the curves.
"""

from collections.abc import Iterator
from functools import partial

import torch

from icltui.api.messages import CurvesEnded, Event, MeasureCurves, PromptTokenized
from icltui.api.option_table import check_options
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.curves.measure_curves import measure_curves
from icltui.engine.generate.prepare_request import PromptInputs, prepare_inputs
from icltui.engine.models.background_thread import run_in_background
from icltui.engine.models.loaded_model import LoadedModel
from icltui.values import LossCurves


def run_curves(loaded: LoadedModel, request: MeasureCurves) -> Iterator[Event]:
    """The loss at every position of the prompt.

    Raises:
        BadInput: a prompt that cannot be run, or more texts of its own than can be written side by side.
    """
    check_options(request)
    prepared = prepare_inputs(loaded, request.prompt, "all")
    yield PromptTokenized(tokens=prepared.tokens)
    curves = yield from run_in_background(partial(_measure, loaded, prepared, request))
    yield CurvesEnded(curves=curves)


@torch.inference_mode()
def _measure(
    loaded: LoadedModel, prepared: PromptInputs, request: MeasureCurves, on_progress: ProgressCallback
) -> LossCurves:
    return measure_curves(loaded, prepared, request, on_progress)
