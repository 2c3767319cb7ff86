"""Which model the engine is to hold, and what the user hears about its loading; it decides what goes before a plan."""

from collections.abc import Sequence

from icltui.api.messages import (
    DEMO,
    CountTokens,
    EstimateModel,
    Event,
    JobCancelled,
    JobFailed,
    LoadModel,
    Message,
    ModelLoaded,
    PromptTokenized,
    Request,
)
from icltui.storage.recent_models import recent_models
from icltui.tui.state.jobs import Jobs
from icltui.tui.state.model_estimate import ModelEstimate
from icltui.tui.state.staleness import short_name
from icltui.values import Session

TOY_TOKENS = 200
"""Tokens of a context from which it is taken for a page of ordinary text; those of the examples have 70 at most."""
TOY = (
    "the embedded model is a toy, trained on small tasks and no language model: of a page like this it makes little; "
    "L loads one, such as Qwen/Qwen3-0.6B or ollama:NAME"
)


def toy_note(load: LoadModel, event: Event) -> str:
    """What to say of a page given to the embedded model; empty where there is nothing to say."""
    is_page = isinstance(event, PromptTokenized) and len(event.tokens.context) > TOY_TOKENS
    return TOY if is_page and load.model == DEMO else ""


class Models:
    """The model that the engine holds or is to hold, and questions about others.

    Args:
        load: the first one to load.
        jobs: of the engine.
    """

    def __init__(self, load: LoadModel, jobs: Jobs) -> None:
        self.load = load
        """The last model that could be loaded; a restarted engine loads it."""
        self.place = ""
        """The command by which the engine runs, where the user gave one: its files may be another machine's."""
        self.model_estimate = ModelEstimate(jobs)
        self._jobs = jobs

    def ask(self, load: LoadModel) -> None:
        """Load a model; whatever runs or waits gives way, and the newest request wins."""
        self._jobs.ask([load], (Message,))

    def after_load(self, plan: Sequence[Request]) -> list[Request]:
        """``plan``, after a model: the one that waits to be loaded, else the last where none is loaded."""
        waiting = [request for request in (*self._jobs.plan, *plan) if isinstance(request, LoadModel)]
        is_coming = isinstance(self._jobs.request, LoadModel) and not self._jobs.is_stopping
        if not waiting and not self._jobs.is_loaded and not is_coming:
            waiting = [self.load]
        return [*waiting[:1], *(request for request in plan if not isinstance(request, LoadModel))]

    def hear(self, request: Request, event: Event) -> str:
        """Take one event of a job; the line for the user, or none where the user did not ask (token counts)."""
        if isinstance(request, EstimateModel):
            self.model_estimate.hear(request, event)
            return ""
        if isinstance(request, LoadModel):
            return self._hear_load(request, event)
        return event.message if isinstance(event, JobFailed) and not isinstance(request, CountTokens) else ""

    def _hear_load(self, request: LoadModel, event: Event) -> str:
        if isinstance(event, ModelLoaded):
            self.load = request
        if isinstance(event, JobFailed):
            return f"{event.message}; {self._stays()}"
        if isinstance(event, JobCancelled) and not any(isinstance(r, LoadModel) for r in self._jobs.plan):
            return f"{short_name(request.model)} was not loaded; {self._stays()}"
        return ""

    def _stays(self) -> str:
        if self._jobs.is_loaded:
            return f"{short_name(self.load.model)} stays the model"
        return f"no model is loaded: L loads one, ctrl+r loads {short_name(self.load.model)}"


def load_of(session: Session, models: Models) -> LoadModel:
    """The model that the session's numbers came from, as it was loaded before; the present one where it has none."""
    saved, present = session.model, models.load
    if saved is None or saved.name == present.model:
        return present
    known = next((load for load in recent_models(models.place) if load.model == saved.name), None)
    if known is not None and known.revision == saved.revision and known.quantize == saved.quantize:
        return known
    return LoadModel(
        model=saved.name,
        revision=saved.revision,
        dtype=saved.dtype,
        quantize=saved.quantize,
        sites=saved.sites,
        device=present.device,
        device_map=present.device_map,
    )
