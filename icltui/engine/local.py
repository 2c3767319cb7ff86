"""The engine in this process: requests in, events out; this module puts the stages together."""

import copy
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import torch

from icltui.api.messages import (
    Compile,
    CountTokens,
    EstimateModel,
    Event,
    Examine,
    Export,
    Generate,
    GenerateAhead,
    GenerateEach,
    JoinAdapters,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureEffects,
    MeasureEnded,
    MeasureHeads,
    ModelLoaded,
    Progress,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.api.progress_callback import ProgressCallback
from icltui.engine.compile.jobs import run_compile
from icltui.engine.compile.join_jobs import run_join
from icltui.engine.curves.jobs import run_curves
from icltui.engine.effects.jobs import run_effects
from icltui.engine.exam.jobs import run_exam
from icltui.engine.export.jobs import check_same_weights, run_export
from icltui.engine.generate.ahead import run_generate_ahead
from icltui.engine.generate.jobs import run_generate, run_generate_each
from icltui.engine.generate.last_patch import LastPatch
from icltui.engine.generate.prepare_request import prepare_inputs
from icltui.engine.heads.jobs import run_heads
from icltui.engine.hooks.out_of_memory import (
    forget_frames,
    is_out_of_memory,
    release_memory,
    shortage_error,
)
from icltui.engine.hooks.site import is_offloaded
from icltui.engine.measure.attention_sink import find_sink
from icltui.engine.measure.kv_cache_check import check_kv_cache
from icltui.engine.measure.measure import Measurer
from icltui.engine.measure.packing_check import choose_path
from icltui.engine.measure.predictions import Vocabulary
from icltui.engine.measure.rounding_error import measure_rounding
from icltui.engine.measure.run_prefixes import Plan, measure_prefixes
from icltui.engine.measure.unit_similarity import MOST_UNITS
from icltui.engine.models import loaded_model
from icltui.engine.models.background_thread import run_in_background, wait_until_idle
from icltui.engine.models.device import free_bytes, use_whole_float32
from icltui.engine.models.load import estimate_model, load
from icltui.engine.models.log_lines import keeping_log_lines
from icltui.engine.models.upcast import check_upcast, computing_in_float32, is_half
from icltui.engine.patch.exactness_at_load import check_at_load
from icltui.engine.prompts.tokenize import tokenize
from icltui.engine.verify.verify import verify
from icltui.values import ModelInfo, Verification
from icltui.values.errors import (
    BadInput,
    EngineError,
    ModelError,
    OutOfMemory,
    rust_panic_error,
    tokenizer_error,
)

ShouldStop = Callable[[], bool]


class _Stopped(Exception):
    """The job was asked to stop."""


def try_out(
    loaded: loaded_model.LoadedModel, request: LoadModel, on_progress: ProgressCallback
) -> tuple[loaded_model.LoadedModel, ModelInfo]:
    """The model without the layers that cannot be used, and its facts."""
    without_cache = check_kv_cache(loaded, on_progress)
    proved = check_at_load(loaded, on_progress)
    path = choose_path(proved, on_progress)
    proved = replace(proved, rounding=measure_rounding(proved, on_progress), sink=find_sink(proved))
    on_progress("taking its fingerprint")
    info = proved.describe(*path)
    again = (f"every token runs the whole text again, as {without_cache}",) if without_cache else ()
    return proved, msgspec.structs.replace(
        info, sites=request.sites, quantize=request.quantize, notes=(*info.notes, *again)
    )


def _spot(device: torch.device) -> tuple[str, int]:
    """The device with its number, which ``cuda`` leaves out."""
    return device.type, device.index or 0


def _vain(result: Verification) -> list[str]:
    """Checks of the verification that mean nothing on this prompt."""
    if result.logits["plain"].linf == 0:
        return ["The context changes nothing, so nothing was proved."]
    if result.controls["shuffled"] == result.logits["patched"]:
        return ["The context shuffled is the context itself, so that control shows nothing."]
    return []


@dataclass
class LocalEngine:
    """Implements :class:`icltui.api.engine.Engine`; holds at most one model."""

    loaded: loaded_model.LoadedModel | None = None
    info: ModelInfo | None = None
    request: LoadModel | None = None
    """The request of the last model, which may have to be loaded anew; None where the model was handed in."""
    dtype_reason: str = ""
    """Why the last model has another dtype than its checkpoint."""
    last_patch: LastPatch = field(default_factory=LastPatch)

    def __post_init__(self) -> None:
        use_whole_float32()

    @torch.inference_mode()
    def _next(self, events: Iterator[Event]) -> Event | None:
        """One step of a job; inference mode must not stay on while the caller's own code runs."""
        return next(events, None)

    def run(self, request: Request, should_stop: ShouldStop) -> Iterator[Event]:
        """See :meth:`icltui.api.engine.Engine.run`."""
        events = self._events(request, should_stop)
        with keeping_log_lines() as lines:
            try:
                while not should_stop() and (event := self._next(events)) is not None:
                    yield from lines.taken()
                    yield event
                yield from lines.taken()
            except BaseException as error:
                if is_out_of_memory(error):
                    yield from lines.taken()
                    raise self._shortage(error) from None
                if type(error) is Exception:  # raised bare by tokenizers alone
                    raise tokenizer_error(error) from error
                if (plain := rust_panic_error(error)) is not None:
                    raise plain from error
                raise

    def _shortage(self, error: BaseException) -> OutOfMemory | ModelError:
        """The error to show where the memory does not suffice, once what the job held is freed."""
        forget_frames(error)
        release_memory()
        if isinstance(error, ModelError) or self.loaded is None:
            return error if isinstance(error, ModelError) else shortage_error(error)
        return shortage_error(error, free_bytes(self.loaded.device))

    def _events(self, request: Request, should_stop: ShouldStop) -> Iterator[Event]:
        yield from wait_until_idle()
        if self.loaded is None and not isinstance(request, LoadModel | EstimateModel):
            yield from self._again()
        match request:
            case LoadModel():
                yield from self._load(request)
            case EstimateModel():
                yield from estimate_model(request.load, self._held)
            case CountTokens():
                yield from self._count(request)
            case Measure():
                yield from self._measure(request)
            case Generate():
                yield from run_generate(self._model(), request, self.last_patch)
            case GenerateEach():
                yield from run_generate_each(self._model(), request, self.last_patch)
            case GenerateAhead():
                yield from run_generate_ahead(self._model(), request, self.last_patch, should_stop)
            case Verify():
                yield from self._verify(request, should_stop)
            case MeasureCurves():
                yield from run_curves(self._model(), request)
            case MeasureHeads():
                loaded = self._model()
                assert self.info is not None
                yield from run_heads(loaded, request, self.info.path)
            case MeasureEffects():
                loaded = self._model()
                assert self.info is not None
                yield from run_effects(loaded, request, self.info.path)
            case Export():
                yield from self._export(request)
            case Compile():
                yield from self._compile(request)
            case Examine():
                yield from run_exam(self._model(), request)
            case JoinAdapters():
                yield from self._join(request)

    def _load(self, request: LoadModel) -> Iterator[Event]:
        loaded = yield from load(request, self._make_room)
        self.loaded, self.info = yield from run_in_background(partial(try_out, loaded, request))
        # A later load of it keeps the dtype, however much memory is free by then.
        dtype = self.info.dtype if self.info.dtype_reason else request.dtype
        self.request = msgspec.structs.replace(request, dtype=dtype)
        self.dtype_reason = self.info.dtype_reason
        yield ModelLoaded(model=self.info)

    def _make_room(self) -> None:
        """Forget the present model: its memory is freed just before the new one's weights are read."""
        self.loaded = self.info = None
        self.last_patch.forget()

    def _held(self, device: torch.device) -> int:
        """Bytes on a GPU that the present model would leave; its maps of main memory count as free already."""
        if self.loaded is None or device.type == "cpu":
            return 0
        tensors = (*self.loaded.model.parameters(), *self.loaded.model.buffers())
        return sum(t.nbytes for t in tensors if _spot(t.device) == _spot(device))

    def _again(self) -> Iterator[Event]:
        """Load the present model anew; where the job is stopped half-way, the next job does it."""
        if self.request is None:
            return
        reason = self.dtype_reason
        for event in self._load(self.request):
            if not isinstance(event, ModelLoaded):
                yield event
        assert self.info is not None
        self.info, self.dtype_reason = msgspec.structs.replace(self.info, dtype_reason=reason), reason

    def _export(self, request: Export) -> Iterator[Event]:
        assert self.info is not None
        writing = run_export(request, self.info, self._model, self._fresh)
        yield from self._writing(writing, request.format == "peft")

    def _compile(self, request: Compile) -> Iterator[Event]:
        self._model()
        assert self.info is not None
        self.last_patch.forget()  # so that two are never in memory
        writing = run_compile(request, self.info, self._model, self._fresh)
        yield from self._writing(writing, request.format == "peft")

    def _join(self, request: JoinAdapters) -> Iterator[Event]:
        self._model()
        assert self.info is not None
        self.last_patch.forget()  # so that two are never in memory
        writing = run_join(request, self.info, self._model, self._fresh)
        yield from self._writing(writing, request.format == "peft")

    def _writing(self, events: Iterator[Event], is_peft: bool) -> Iterator[Event]:
        """The events of a job that may write an adapter; no adapter and no change of PEFT's stays in the model."""
        was_offloaded = is_offloaded(self._model().model)
        try:
            yield from events
        except EngineError:
            if self.request is not None:
                self.last_patch.forget()
                self.loaded = None  # an adapter may be stuck in it: the next job loads it anew
            raise
        if is_peft and self.request is not None and was_offloaded:
            self.last_patch.forget()
            self.loaded = None  # PEFT takes the hooks off an offloaded model, or lays it out its own way

    def _fresh(self) -> Generator[Event, None, Any]:
        """The present model without any change: loaded anew, as memory may not hold two."""
        if self.request is None:
            handed_in = self._model().model
            return (yield from run_in_background(lambda _on_progress: copy.deepcopy(handed_in)))
        assert self.info is not None
        before = self.info.fingerprint
        yield from self._again()
        check_same_weights(before, self.info.fingerprint)
        return self._model().model

    def _count(self, request: CountTokens) -> Iterator[Event]:
        yield PromptTokenized(tokens=tokenize(self._model(), request.prompt)[1])

    def _measure(self, request: Measure) -> Iterator[Event]:
        loaded = self._model()
        prepared = prepare_inputs(loaded, request.prompt, request.layers)
        sites, ids, tokens = prepared.sites, prepared.ids, prepared.tokens
        assert self.info is not None
        if request.pairs and len(tokens.units) > MOST_UNITS:
            raise BadInput(
                f"{len(tokens.units)} units to compare with each other: at most {MOST_UNITS}; use larger units"
            )
        if request.precision == "float32":
            check_upcast(loaded.model)
        yield PromptTokenized(tokens=tokens)
        start = time.perf_counter()
        plan = Plan(ids, request.dynamics, request.reference, request.prompt.positions)
        path = self.info.path if plan.packs else "loop"
        widens = request.precision == "float32" and is_half(loaded.model)
        rounding = {} if widens else {n: getattr(r, plan.reference) for n, r in loaded.rounding.items()}
        measurer = Measurer(sites, plan, Vocabulary(loaded.tokenizer), request.pairs, rounding)
        with computing_in_float32(loaded.model) if widens else nullcontext():
            for rows, predictions in measurer.measure(measure_prefixes(loaded, sites, plan, path)):
                if rows or predictions:
                    yield UnitsMeasured(rows=tuple(rows), predictions=tuple(predictions))
        yield MeasureEnded(
            layers=tuple(site.layer for site in sites),
            path=path,
            seconds=time.perf_counter() - start,
            pairs=measurer.pairs(),
        )

    def _verify(self, request: Verify, should_stop: ShouldStop) -> Iterator[Event]:
        loaded = self._model()
        prepared = prepare_inputs(loaded, request.prompt, request.layers)

        def on_progress(stage: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001
            if should_stop():
                raise _Stopped

        yield Progress(stage="verifying", done=0, total=0)
        try:
            result = verify(
                loaded, prepared.sites, prepared.ids, request.seed, on_progress, request.prompt.positions
            )
        except _Stopped:
            return
        note = " ".join([*_vain(result), result.note])
        yield VerificationEnded(
            verification=msgspec.structs.replace(
                result, note=note, ids=prepared.ids.record, kept_prefix=prepared.tokens.prefix
            )
        )

    def _model(self) -> loaded_model.LoadedModel:
        if self.loaded is None:
            raise BadInput("no model is loaded: load one first")
        return self.loaded
