"""Requests to an engine, and the events that it answers with.

Every job answers with a stream of events whose last is exactly one of :class:`JobEnded`, :class:`JobCancelled`,
:class:`JobFailed`.
"""

from typing import Literal

import msgspec

from icltui.values import (
    LANES,
    AttentionHeads,
    Calibrate,
    ChoicePoint,
    Compilation,
    CompiledFormat,
    Dynamics,
    Estimate,
    Exam,
    ExamPatch,
    ExamRow,
    ExportFormat,
    ExportReport,
    Generation,
    JoinedPatch,
    Lane,
    LaneStep,
    LossCurves,
    ModelInfo,
    Pairs,
    PatchEffects,
    PatchReport,
    Path,
    Precision,
    Prediction,
    PromptIds,
    Quantize,
    Reference,
    Row,
    TokenizedPrompt,
    UnitEffects,
    Verification,
)
from icltui.values.bounds import Count, ExitCode, LayerIndex, Seed, Size, TokenCount, TokenId
from icltui.values.exam import USUAL_ROWS
from icltui.values.patch_source import PatchSource
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling

DEMO = "demo"
"""The name of the embedded model."""
DeviceMap = Literal["none", "auto", "balanced", "sequential"]
"""How layers are spread over several devices, by accelerate; ``none``: all on one."""


AdapterFormat = Literal["peft", "gguf-lora"]
"""A LoRA adapter for PEFT, or for llama.cpp."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """Base of requests and events; ``type`` on the wire is the class's name."""


# Requests are imperative.


class LoadModel(Message, frozen=True):
    """Load a model in place of the present one → ModelEstimated, Progress…, ModelLoaded.

    Where that fails or is stopped, the one before stays the model; if it has made room already, the next job loads it
    anew.
    """

    model: str = DEMO
    """Hugging Face id, folder, GGUF file, ``ollama:NAME``, or :data:`DEMO`."""
    revision: str | None = None
    """Branch, tag or commit; None: the repository's default."""
    dtype: str = "auto"
    """A dtype's name, or ``auto``."""
    device: str = "auto"
    """A device's name, or ``auto``."""
    device_map: DeviceMap = "none"
    quantize: Quantize = "none"
    allow_pickle: bool = False
    """Whether weights may come as pickles, which can run code."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""
    sites: dict[str, str] = {}
    """Module paths given by hand, with ``{layer}`` for the layer's number: ``mlp``, ``norm``, ``down``, ``block``."""


class EstimateModel(Message, frozen=True):
    """Say what a model would take, without loading it → Progress…, ModelEstimated unless that cannot be known.

    What loading would refuse before it reads any weights is refused here too; the present model stays.
    """

    load: LoadModel


class CountTokens(Message, frozen=True):
    """Tokenise only → PromptTokenized."""

    prompt: Prompt


class Measure(Message, frozen=True):
    """Measure every prefix of the context → PromptTokenized, UnitsMeasured…, MeasureEnded."""

    prompt: Prompt
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    precision: Precision = "model"
    pairs: bool = False
    """Whether units are compared with each other, which needs memory in the square of their number."""


class Generate(Message, frozen=True):
    """Make the patch, generate the lanes side by side, then test the patch.

    → Progress…, LaneAdvanced…, GenerationEnded, and PatchTested where there is a report on the patch.
    """

    prompt: Prompt
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe = Recipe()
    sampling: Sampling = Sampling()
    n_tokens: TokenCount = 12
    """Tokens generated in each lane."""
    lanes: tuple[Lane, ...] = LANES
    """The lanes to run."""
    holdout: tuple[str, ...] = ()
    """Other queries after the same context, to test the patch on."""
    curves: bool = False
    """Whether the patch is varied too: strength, layers from both ends, calibration queries."""
    forced: dict[Lane, tuple[TokenId, ...]] = {}
    """The tokens that a lane begins with, whatever it would draw."""


class GenerateAhead(Message, frozen=True):
    """Generate the patched lane at other strengths, before anybody has asked for them → StrengthGenerated…

    The context's lane is run once and the patch made once. First come all texts; then, where the patch is tested, each
    again with the report. What takes longer than ``budget`` is left out.
    """

    generate: Generate
    """The lanes and the patch; its own strength is not generated."""
    alphas: tuple[float, ...]
    """The strengths, in the order in which they are generated."""
    budget: float = 30.0
    """Seconds after which nothing more is sent."""


class GenerateEach(Message, frozen=True):
    """Generate the lanes of several queries after one context, as :class:`Generate` does, one after the other.

    A patch that is compiled on the recipe's own queries is made once and serves all.
    """

    prompt: Prompt
    """The prompt; its query is ignored."""
    queries: tuple[str, ...]
    """One generation for each."""
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe = Recipe()
    sampling: Sampling = Sampling()
    n_tokens: TokenCount = 12
    """Tokens generated in each lane."""
    lanes: tuple[Lane, ...] = LANES
    """The lanes to run."""
    holdout: tuple[str, ...] = ()
    """Other queries after the same context, to test the patch on."""


class Verify(Message, frozen=True):
    """Prove the patch on this prompt → VerificationEnded."""

    prompt: Prompt
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    seed: Seed = 0
    """Seed of the control patches."""


class MeasureCurves(Message, frozen=True):
    """Measure the loss at every position of a text, with its context and without → PromptTokenized, Progress…,
    CurvesEnded."""

    prompt: Prompt
    """The text: context and query; the units of the context are what ``loss_without`` is measured in."""
    own_texts: Count = 0
    """How many texts the model writes itself, to compare with; 0: none."""
    own_tokens: TokenCount = 512
    """The most tokens that are compared with them, from the text's first on."""
    seed: Seed = 0
    """Seed of the first text that the model writes, and of the resamples that the intervals come from."""


class MeasureHeads(Message, frozen=True):
    """Score every attention head on random tokens that are repeated, and split δ by head and unit of the context.

    → PromptTokenized, Progress…, HeadsEnded.
    """

    prompt: Prompt
    """The prompt whose δ is split."""
    layers: str = "all"
    """Layers in which δ is split, as :func:`icltui.values.prompt.resolve_layers` reads them; scores are of all."""
    n_random: TokenCount = 50
    """Random tokens in each sequence, before they are repeated; fewer where the model reads fewer."""
    n_seeds: Count = 8
    """Random sequences."""
    seed: Seed = 0
    """Seed of the first."""


class MeasureEffects(Message, frozen=True):
    """Let the patch of each layer act alone, of the context up to each unit, and see how near the answer comes.

    → PromptTokenized, (Progress | EffectsMeasured)…, EffectsEnded.
    """

    prompt: Prompt
    """The prompt; its query is answered without the context."""
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    seed: Seed = 0
    """Seed of the random patches, the control."""


class Export(Message, frozen=True):
    """Make the patch and write it for another program → Progress…, ExportEnded."""

    prompt: Prompt
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe = Recipe(mode="frozen")
    format: ExportFormat = "peft"
    path: str = ""
    """A folder for ``peft``, a file for the others; it must not exist. Written where the engine runs."""
    fingerprint: str | None = None
    """The weights' fingerprint; another model is refused. None: any model will do."""
    ids: PromptIds | None = None
    """What the prompt was when the patch was made. A header that is another one by now, such as of a chat template that
    writes the date, is taken from here; other tokens of the text are refused. None: what the prompt is now."""


class OtherContext(Message, frozen=True):
    """A second context that a patch is to hold besides, with queries of its own."""

    prompt: Prompt
    """The context; its query is ignored."""
    queries: tuple[str, ...]
    """The queries that its half of the patch is fitted on."""
    holdout: tuple[str, ...]
    """Its unseen queries."""


class Examine(Message, frozen=True):
    """Put every patch of one context to the same test → Progress…, ExamStarted, ExamRowEnded…, ExamEnded.

    The patches are made of the recipe's queries and tested on the held-out ones. A patch that cannot be made is a row
    with its reason.
    """

    prompt: Prompt
    """The prompt; *frozen* takes the patch of its query, the first of the recipe's where it is empty."""
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them."""
    recipe: Recipe = Recipe(mode="compiled")
    holdout: tuple[str, ...] = ()
    """The unseen queries; one that is among the recipe's is left out, and told."""
    answers: dict[str, str] = {}
    """True answers by query; a query without one is right where it is answered as with the context."""
    rows: tuple[ExamPatch, ...] = USUAL_ROWS
    """The patches to examine."""
    other: OtherContext | None = None
    """A second context: the ordinary patch is tested on its queries too, and ``joined`` holds both."""
    budget: float = 30.0
    """Seconds that choosing the ordinary patch may take; nothing is chosen where the recipe weighs by ordinary text."""
    seed: Seed = 0
    """Seed of the resamples that the intervals come from."""


class Compile(Message, frozen=True):
    """Make one patch of the context, choose how by leave-one-out, test it, and write it unless it would harm.

    → Progress…, QueryWritten… where the model writes the queries, ChoiceAdvanced…, CompileEnded.
    """

    prompt: Prompt
    """The context; the query may be empty: then the first unseen or calibration query serves in its place."""
    layers: str = "all"
    """Layers, as :func:`icltui.values.prompt.resolve_layers` reads them; the choice is among them."""
    recipe: Recipe = Recipe(mode="compiled")
    """Where the choice begins. Its queries are those of ``calibrate`` ``user``."""
    pinned: tuple[str, ...] = ()
    """Fields of the recipe, or ``layers``, that are taken as they are and not chosen."""
    holdout: tuple[str, ...] = ()
    """Unseen queries, to test the patch on."""
    calibrate: Calibrate = "self"
    """Where the calibration queries come from."""
    n_queries: TokenCount = 16
    """How many calibration queries are wanted, where they are not the user's."""
    seed: Seed = 0
    """Seed of what the model writes."""
    budget: float = 60.0
    """Seconds that the choice may take."""
    format: CompiledFormat = "none"
    """What is written."""
    path: str = ""
    """A folder for ``peft``, a file for ``gguf-lora``; it must not exist. Written where the engine runs."""
    force: bool = False
    """Whether the patch is written even if it would harm."""


class JoinAdapters(Message, frozen=True):
    """Solve the patches of several contexts together, tell how they interfere, and write one adapter.

    → Progress…, AdaptersJoined.
    """

    contexts: tuple[PatchSource, ...]
    """What the patches are made from, as each adapter has it beside it: one for each context, all of one model."""
    ridge: float | None = None
    """ρ of the joint solve; None: the largest of the adapters'."""
    format: AdapterFormat = "peft"
    """What is written."""
    path: str = ""
    """A folder for ``peft``, a file for ``gguf-lora``; it must not exist. Written where the engine runs."""


Request = (
    LoadModel
    | EstimateModel
    | CountTokens
    | Measure
    | Generate
    | GenerateEach
    | GenerateAhead
    | Verify
    | MeasureCurves
    | MeasureHeads
    | MeasureEffects
    | Export
    | Compile
    | Examine
    | JoinAdapters
)

# Events are past participles.


class Progress(Message, frozen=True):
    """Progress of the running work: ``done`` of ``total`` bytes or units; ``total`` is 0 when not known."""

    stage: str
    """What is done, such as ``loading gpt2``."""
    done: Size
    """Bytes or units done."""
    total: Size
    """Bytes or units in all; 0 where that is not known."""
    logged: bool = False
    """Whether ``stage`` is a line to keep in the log, such as that the memory does not suffice for so much at once."""


class ModelEstimated(Message, frozen=True):
    """What the model takes; where it was asked to be loaded, that goes on unless it cannot fit."""

    estimate: Estimate


class ModelLoaded(Message, frozen=True):
    model: ModelInfo


class PromptTokenized(Message, frozen=True):
    tokens: TokenizedPrompt


class UnitsMeasured(Message, frozen=True):
    """A chunk of units, in ascending order; all rows of a unit arrive together.

    A prediction may come again when the full context has run, its ``kl_to_full`` now known: the later one counts.
    """

    rows: tuple[Row, ...]
    """Every layer's row of each unit."""
    predictions: tuple[Prediction, ...]
    """At most one prediction for each unit."""


class MeasureEnded(Message, frozen=True):
    layers: tuple[LayerIndex, ...]
    """The measured layers, ascending."""
    path: Path
    seconds: float
    """Duration of the passes."""
    pairs: tuple[Pairs, ...] = ()
    """One for each layer where units were compared with each other, else empty."""


class LaneAdvanced(Message, frozen=True):
    step: LaneStep


class GenerationEnded(Message, frozen=True):
    generation: Generation


class StrengthGenerated(Message, frozen=True):
    """The patched lane at one more strength."""

    generation: Generation
    """The patched lane alone, with its strength in the recipe and, where the patch was tested, its report."""


class PatchTested(Message, frozen=True):
    """What is known of the patch of the generation that ended before."""

    patch: PatchReport


class VerificationEnded(Message, frozen=True):
    verification: Verification


class CurvesEnded(Message, frozen=True):
    curves: LossCurves


class HeadsEnded(Message, frozen=True):
    heads: AttentionHeads


class EffectsMeasured(Message, frozen=True):
    """A chunk of units, of which every layer's patch has acted."""

    layers: tuple[LayerIndex, ...]
    """The layers, ascending."""
    plain: float | None
    """KL without the context and without a patch."""
    units: tuple[UnitEffects, ...]
    """Each unit once in a job; the last unit, which is the full context, comes first."""


class EffectsEnded(Message, frozen=True):
    effects: PatchEffects


class ExportEnded(Message, frozen=True):
    report: ExportReport


class ExamStarted(Message, frozen=True):
    """The unseen queries were answered with the context and without it; the exam has no row yet."""

    exam: Exam


class ExamRowEnded(Message, frozen=True):
    """One patch was examined, or could not be made."""

    row: ExamRow


class ExamEnded(Message, frozen=True):
    """The whole exam, with the rows that were sent before."""

    exam: Exam


class QueryWritten(Message, frozen=True):
    """One calibration query of self-study, as it is written."""

    query: str
    """Its text."""
    continuation: str = ""
    """What the model goes on to say in the context."""
    done: Count = 0
    """Queries so far, this one included."""
    total: Count = 0
    """How many are wanted."""


class ChoiceAdvanced(Message, frozen=True):
    """One more way to make the patch was tried."""

    point: ChoicePoint


class CompileEnded(Message, frozen=True):
    compilation: Compilation


class AdaptersJoined(Message, frozen=True):
    joined: JoinedPatch


class JobEnded(Message, frozen=True):
    """The job is done."""


class JobCancelled(Message, frozen=True):
    """The job stopped because it was asked to; what it sent before holds."""


class JobFailed(Message, frozen=True):
    """The job could not be done; the engine is ready for the next."""

    kind: str
    """The name of the error's class in ``icltui.values.errors``."""
    message: str
    """One line: what is wrong, what was needed, what to do."""
    exit_code: ExitCode = 1
    """Exit code of the command line where this error ends it."""


class EngineStarted(Message, frozen=True):
    """The engine's process answers; comes with job 0."""

    version: str
    """Version of icltui in the engine's process."""


class EngineAwaited(Message, frozen=True):
    """The engine's process runs but has not answered for so many seconds; it is waited for; comes with job 0."""

    seconds: Count
    """Seconds since the process was started."""
    log_tail: tuple[str, ...] = ()
    """The last lines that the process wrote."""


class EngineDied(Message, frozen=True):
    """The engine's process is gone, every job with it; comes with job 0."""

    message: str
    """How the process ended, in one line."""
    log_tail: tuple[str, ...] = ()
    """The last lines that the process wrote."""


Event = (
    Progress
    | ModelEstimated
    | ModelLoaded
    | PromptTokenized
    | UnitsMeasured
    | MeasureEnded
    | LaneAdvanced
    | GenerationEnded
    | StrengthGenerated
    | PatchTested
    | VerificationEnded
    | CurvesEnded
    | HeadsEnded
    | EffectsMeasured
    | EffectsEnded
    | ExportEnded
    | ExamStarted
    | ExamRowEnded
    | ExamEnded
    | QueryWritten
    | ChoiceAdvanced
    | CompileEnded
    | AdaptersJoined
    | JobEnded
    | JobCancelled
    | JobFailed
    | EngineStarted
    | EngineAwaited
    | EngineDied
)

JOB_OVER = (JobEnded, JobCancelled, JobFailed)
"""The three events of which each job sends exactly one, last."""
