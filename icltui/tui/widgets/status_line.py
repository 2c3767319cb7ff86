"""The line at the top: model, session, what is going on, ΔW. States differ by sign, not only by colour."""

from msgspec.structs import replace as with_changes
from textual.content import Content
from textual.widgets import Static

from icltui.api.messages import (
    Compile,
    Examine,
    Export,
    Generate,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureEffects,
    MeasureHeads,
    Progress,
    Verify,
)
from icltui.text.units import bar, in_bytes
from icltui.tui.draw.safe_text import display, fit
from icltui.tui.state.engine_status import EngineStatus
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.run_words import title_of
from icltui.tui.state.staleness import any_note, short_name
from icltui.values import ModelInfo

_STAGE_WIDTH, _BAR_WIDTH = 32, 8
_FAN_WIDTH, _TITLE_WIDTH = 24, 32
_MOST_THINGS = 9999
"""A larger total is a number of bytes."""
_SUFFIXES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def model_text(model: ModelInfo | None) -> str:
    """``demo · Qwen3 6L·128 · float32 · cpu``; of a path its end, so that the rest has room.

    ``float32 for bfloat16`` where the checkpoint's own numbers have no instructions here.
    """
    if model is None:
        return "no model"
    kind = model.architecture
    for suffix in _SUFFIXES:
        kind = kind.removesuffix(suffix)
    is_other = model.dtype_reason and model.stored_dtype != model.dtype
    numbers = f"{model.dtype} for {model.stored_dtype}" if is_other else model.dtype
    return f"{short_name(model.name)} · {kind} {model.n_layers}L·{model.hidden_size} · {numbers} · {model.device}"


def progress_text(progress: Progress | None, otherwise: str) -> str:
    """How far a job is: sizes and a bar of many bytes, a count of few things."""
    if progress is None:
        return otherwise
    stage = fit(progress.stage, _STAGE_WIDTH).rstrip()
    if not progress.total:
        return stage
    if progress.total > _MOST_THINGS:
        drawn = bar(progress.done, progress.total, _BAR_WIDTH)
        return f"{stage} {in_bytes(progress.done)} of {in_bytes(progress.total)} {drawn}"
    return f"{stage} {progress.done}/{progress.total}"


def loading_text(engine_status: EngineStatus, model: str) -> str:
    """What loading ``model`` has come to: until it begins, what will be needed of what there is."""
    name = short_name(model)
    if (estimate := engine_status.estimate) is None:
        stage = engine_status.progress and engine_status.progress.stage.replace(model, name)
        progress = engine_status.progress and with_changes(engine_status.progress, stage=stage)
        return progress_text(progress, f"loading {name}")
    need = in_bytes(estimate.weight_bytes + estimate.measure_bytes)
    return f"needs {need} of {in_bytes(estimate.available_bytes)} free"


def fan_text(explorer: Explorer) -> str:
    """How far the fan is: ``● 3 of 8: α 0.5``."""
    fan = explorer.fan
    if fan is None or (point := fan.current) is None:
        return ""
    end = ", the last" if fan.state == "ending" else ""
    return f"● {fan.place} of {len(fan.points)}: {fit(point.variation.words, _FAN_WIDTH).rstrip()}{end}"


def run_text(explorer: Explorer) -> str:
    """Where the present run is in the tree, and what tells it from its parent; empty where it is the only one."""
    history = explorer.history
    if (run := history.present) is None or len(history.runs) < 2:
        return ""
    parent = history.run(run.parent)
    words = f" · {fit(title_of(run, parent), _TITLE_WIDTH).rstrip()}" if parent else ""
    return f"run {history.place} of {len(history.runs)}{words}"


def state_text(explorer: Explorer) -> str:
    """What is going on, in a few words after a sign, and a proof that waits for its turn."""
    jobs, text = explorer.jobs, _state(explorer)
    is_awaited = jobs.request is not None and any(isinstance(request, Verify) for request in jobs.plan)
    left = explorer.engine_status.pace.words if jobs.request else ""
    return ", ".join(filter(None, (text, left, "then verify" if is_awaited else "")))


def _state(explorer: Explorer) -> str:
    jobs, results, measured = explorer.jobs, explorer.results, explorer.results.measured
    if (
        explorer.is_fanning
        and not explorer.is_screen_awaited
        and jobs.engine == "ready"
        and not jobs.is_stopping
    ):
        return fan_text(explorer)
    if jobs.engine == "dead":
        return "✗ engine gone, ^r restarts"
    if jobs.engine in ("off", "starting"):
        silence = explorer.engine_status.silence
        return f"◌ {f'no answer for {silence} s' if silence else 'starting the engine'}, esc ends it"
    if jobs.is_stopping:
        return "◌ stopping, esc again ends the engine"
    progress = explorer.engine_status.progress
    match jobs.request:
        case LoadModel() as request:
            return f"◌ {loading_text(explorer.engine_status, request.model)}"
        case Measure() as request:
            origin = results.measured_origin
            if origin is None or origin.request is not request:  # the model may have to be loaded again first
                return f"● {progress_text(progress, 'measuring')}"
            return f"● {measured.n_measured - 1:,} of {measured.n_units - 1:,} units"
        case Generate() as request:
            done, origin = results.texts.n_steps(request), results.generation_origin
            text = f"{done}/{request.n_tokens * len(request.lanes)} tokens"
            # The patch is made before the lanes are generated, and tested after them.
            is_at_patch = not done or (origin is not None and origin.request is request)
            return f"● {progress_text(progress, text) if is_at_patch else text}"
        case Verify():
            return f"● {progress_text(progress, 'verifying')}"
        case Compile() as request:
            n_tried = len(results.trials.points)
            tried = f", {n_tried} ways tried" if n_tried and results.trials.is_trying(request) else ""
            return f"● {progress_text(progress, 'compiling')}{tried}"
        case Examine() as request:
            origin, exam = results.trials.exam_origin, results.trials.exam
            is_begun = exam is not None and origin is not None and origin.request is request
            rows = f", {len(exam.rows)}/{len(request.rows)} rows" if is_begun and exam else ""
            return f"● {progress_text(progress, 'examining')}{rows}"
        case MeasureCurves():
            return f"● {progress_text(progress, 'measuring the loss')}"
        case MeasureHeads():
            return f"● {progress_text(progress, 'scoring heads')}"
        case MeasureEffects():
            return f"● {progress_text(progress, 'patching layer by layer')}"
        case Export():
            return f"● {progress_text(progress, 'exporting')}"
    if not jobs.is_loaded:
        return "○ no model, ^r loads it"
    return f"○ {display(any_note(results, explorer.settings)) or 'ready'}"


class StatusLine(Static):
    """The line, drawn to its width."""

    def __init__(self, explorer: Explorer) -> None:
        super().__init__(id="status", markup=False)
        self._explorer = explorer

    def render(self) -> Content:
        """Model and session on the left, which is cut first; what is going on and ΔW on the right."""
        explorer, width = self._explorer, self.size.width
        settings = explorer.settings
        delta = f"ΔW {'on' if settings.is_delta_on else 'off'}"
        right = f"{state_text(explorer)}   {delta} "[: max(width - 1, 0)]
        mark = "*" if explorer.is_unsaved else ""
        names = (f"{explorer.document.title}{mark}", run_text(explorer), model_text(explorer.model))
        left = fit("   ".join(filter(None, names)), width - len(right) - 12)
        return Content.assemble((" icltui   ", "bold $text-accent"), left, "  ", (right, "bold"))
