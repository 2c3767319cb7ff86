"""A small model, prompt and set of numbers, made up but of plausible shape: the false capital of France."""

import math

import msgspec
from msgspec.structs import replace

from icltui.api.messages import (
    Event,
    GenerationEnded,
    LaneAdvanced,
    MeasureEnded,
    ModelLoaded,
    PromptTokenized,
    UnitsMeasured,
)
from icltui.values import (
    LANES,
    Agreement,
    CalibrationSummary,
    Candidate,
    ChoicePoint,
    CollateralSummary,
    Compilation,
    CompiledQuery,
    CurvePoint,
    Curves,
    ErrorLimits,
    Estimate,
    Exam,
    ExamAnswer,
    ExamPatch,
    ExamQuery,
    ExamRow,
    Generation,
    Lane,
    LaneStep,
    LaneText,
    LayerCheck,
    LeaveOneOut,
    LogitError,
    Measurement,
    ModelInfo,
    PatchChoice,
    PatchReport,
    PatchTest,
    Prediction,
    RefusedLayer,
    Row,
    Run,
    Session,
    Token,
    TokenizedPrompt,
    Unit,
    Unseen,
    Verification,
)
from icltui.values.exam import EXAM_PATCHES, USUAL_ROWS
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

N_LAYERS = 6
CONTEXT = "The capital of Spain is Cairo.\nThe capital of France is Rome.\nThe capital of Egypt is Oslo.\n"
QUERY = "The capital of France is"
PROMPT = Prompt(context=CONTEXT, query=QUERY)
MODEL = ModelInfo(
    name="demo",
    revision=None,
    fingerprint="0" * 16,
    architecture="Qwen3ForCausalLM",
    n_layers=N_LAYERS,
    hidden_size=128,
    n_parameters=1_400_000,
    dtype="float32",
    device="cpu",
    window=512,
    path="packed",
    versions={"icltui": "0", "torch": "0", "transformers": "0"},
)


def _pieces(text: str) -> list[str]:
    words = text.replace("\n", " \n").split(" ")
    return [word if not at or word.startswith("\n") else f" {word}" for at, word in enumerate(words) if word]


def tokens_of(text: str) -> tuple[Token, ...]:
    """A token for each word, id by spelling."""
    return tuple(Token(id=sum(map(ord, piece)), text=piece) for piece in _pieces(text))


CONTEXT_TOKENS = tokens_of(CONTEXT)
TOKENS = TokenizedPrompt(
    prefix=(),
    context=CONTEXT_TOKENS,
    query=tokens_of(QUERY),
    units=tuple(Unit(index=at, text=token.text, tokens=1) for at, token in enumerate(CONTEXT_TOKENS, 1)),
)
N_UNITS = len(CONTEXT_TOKENS)


def row(unit: int, layer: int) -> Row:
    """Numbers that fall with the unit and rise with the layer."""
    z = 8.0 + layer + math.sin(unit)
    if unit == 0:
        return Row(unit=0, layer=layer, z_norm=z, learning_rate=1 / z**2, net_patch_norm=0.0)
    delta = (0.3 + 0.25 * layer) * (1.2 + math.sin(unit * 1.7 + layer)) / math.sqrt(unit)
    return Row(
        unit=unit,
        layer=layer,
        z_norm=z,
        learning_rate=1 / z**2,
        delta_norm=delta,
        shift_norm=delta * 1.4,
        patch_norm=delta * 0.21,
        relative_patch_norm=delta * 0.021,
        cumulative_patch_norm=0.4 * math.sqrt(unit) * (1 + layer / 4),
        net_patch_norm=0.25 * math.sqrt(unit),
        cosine_previous=math.cos(unit) if unit > 1 else None,
        output_patch_norm=delta * 0.12,
        amplification=0.7 + 0.1 * layer,
        implicit_loss=math.sin(unit) * delta,
        half_step_square=delta**2 / 2,
        update_cosine_previous=math.cos(unit) / 2 if unit > 1 else None,
        transfer_previous=0.8 + 0.2 * math.sin(unit) if unit > 1 else None,
        matrix_norms={"gate_proj": delta * 0.15, "up_proj": delta * 0.147},
    )


def candidates(*pairs: tuple[str, float]) -> tuple[Candidate, ...]:
    """Next tokens with their probabilities."""
    return tuple(
        Candidate(token=Token(id=sum(map(ord, text)), text=text), probability=p) for text, p in pairs
    )


def prediction(unit: int) -> Prediction:
    """Paris at first, Rome once the second sentence is in."""
    is_told = unit >= N_UNITS // 2
    first, second = (" Rome", " Paris") if is_told else (" Paris", " Rome")
    p = 0.6 + 0.02 * (unit % 15)
    return Prediction(
        unit=unit,
        top=candidates((first, p), (second, 0.9 - p), (" Cairo", 0.05), (" the", 0.02), (" Oslo", 0.01)),
        entropy=0.8,
        kl_to_full=max(0.0, 2.9 - 0.15 * unit),
    )


def chunk(first: int, last: int) -> UnitsMeasured:
    """Everything about the units from ``first`` to ``last``."""
    units = range(first, last + 1)
    return UnitsMeasured(
        rows=tuple(row(unit, layer) for unit in units for layer in range(N_LAYERS)),
        predictions=tuple(prediction(unit) for unit in units),
    )


LOADED = ModelLoaded(model=MODEL)
REFUSED = RefusedLayer(layer=3, reason="its MLP reads four streams: patched output off by 2.1e-01")
ODD_MODEL = msgspec.structs.replace(
    MODEL, refused=(REFUSED,), path="loop", path_reason="ALiBi biases depend on the key's place in the cache"
)
"""The same model, had its check failed at one layer and for packing."""
ESTIMATE = Estimate(
    n_parameters=124_439_808,
    weight_bytes=548_105_171,
    measure_bytes=96_000_000,
    available_bytes=6_200_000_000,
)
TOKENIZED = PromptTokenized(tokens=TOKENS)
MEASURED = MeasureEnded(layers=tuple(range(N_LAYERS)), path="packed", seconds=0.5)
MEASURE: tuple[Event, ...] = (TOKENIZED, chunk(0, N_UNITS), MEASURED)

_FALSE = tokens_of(" Rome. The capital of Egypt is Oslo. The capital of Spain")
_TRUE = tokens_of(" Paris. The capital of Spain is Madrid. The capital of Egypt")
_TOPS = {
    "context": candidates(
        (" Rome", 0.93), (" Paris", 0.04), (" Cairo", 0.02), (" Oslo", 0.01), (" the", 0.0)
    ),
    "plain": candidates((" Paris", 0.97), (" Rome", 0.01), (" Madrid", 0.01), (" Lyon", 0.0), (" a", 0.0)),
}


def lane_steps(lane: Lane) -> tuple[LaneStep, ...]:
    """The false capitals with the context and with ΔW, the true ones without."""
    tokens = _TRUE if lane == "plain" else _FALSE
    divergence = {"context": 0.0, "plain": 2.91, "patched": 3.1e-12}[lane]
    texts = ["".join(token.text for token in tokens[: at + 1]) for at in range(len(tokens))]
    return tuple(
        LaneStep(
            lane=lane,
            index=at,
            token=token,
            text=texts[at],
            top=_TOPS["plain" if lane == "plain" else "context"],
            kl_to_context=divergence if at == 0 or lane != "plain" else None,
        )
        for at, token in enumerate(tokens)
    )


def generation(lanes: tuple[Lane, ...] = LANES) -> Generation:
    """The lanes, ended."""
    steps = {lane: lane_steps(lane) for lane in lanes}
    n = len(_FALSE)
    return Generation(
        lanes={
            lane: LaneText(text=s[-1].text, token_ids=tuple(step.token.id for step in s), steps=s)
            for lane, s in steps.items()
        },
        agreement={
            lane: Agreement(equal=n if lane == "patched" else 0, total=n, first_difference=None)
            for lane in lanes[1:]
        },
        fit={},
        recipe=Recipe(),
        layers=tuple(range(N_LAYERS)),
    )


def generate(lanes: tuple[Lane, ...]) -> tuple[Event, ...]:
    """The events of a generation, but for the last."""
    steps = [step for each in zip(*(lane_steps(lane) for lane in lanes), strict=True) for step in each]
    return (*(LaneAdvanced(step=step) for step in steps), GenerationEnded(generation=generation(lanes)))


PATCH = PatchReport(
    n_tokens=13,
    rank=13,
    alpha=1.0,
    tests=(
        PatchTest(
            what="fitted tokens",
            n_tokens=9,
            kl=1.7e-10,
            kl_plain=1.5,
            mse=1e-10,
            mse_plain=9.0,
            equal=9,
            equal_plain=6,
        ),
        PatchTest(
            what="later tokens",
            n_tokens=8,
            kl=0.74,
            kl_plain=0.29,
            mse=2.0,
            mse_plain=1.5,
            equal=7,
            equal_plain=8,
        ),
    ),
    verdict="The patch does not carry over to 8 tokens of the later text.",
    notes=("the text ends by itself",),
)


def _points(last: int, scale: float, *, least: int) -> tuple[CurvePoint, ...]:
    """A divergence that is smallest at ``least``."""
    kls = [0.01 + 0.1 * (step - least) ** 2 for step in range(last + 1)]
    return tuple(
        CurvePoint(x=round(step * scale, 1), kl=kl, mse=kl * 3, kl_others=kl * 2 + 0.1)
        for step, kl in enumerate(kls)
    )


VARIED = msgspec.structs.replace(
    PATCH,
    curves=Curves(
        alpha=_points(20, 0.1, least=10),
        from_bottom=_points(N_LAYERS, 1.0, least=N_LAYERS)[1:],
        from_top=_points(N_LAYERS, 1.0, least=4)[1:],
    ),
)
"""The same patch, varied."""

MEASUREMENT = Measurement(
    tokens=TOKENS,
    layers=MEASURED.layers,
    rows=chunk(0, N_UNITS).rows,
    predictions=chunk(0, N_UNITS).predictions,
    path="packed",
    seconds=0.5,
)


def _error(scale: float) -> LogitError:
    return LogitError(mse=scale, kl=scale / 4, linf=scale * 3, top1_equal=scale < 0.1)


VERIFICATION = Verification(
    layers=tuple(
        LayerCheck(
            layer=layer,
            mlp_error=1.8e-7,
            identity_error=1.2e-7,
            block_error=2.3e-7,
            cosine=1.0,
            nmse=4e-14,
            rank=1,
            gradient_alignment=0.31 - 0.06 * layer,
            limits={
                "mlp": ErrorLimits(floor=3.1e-7, allowed=1.4e-6, effect=0.61),
                "identity": ErrorLimits(floor=2.9e-7, allowed=1.4e-6, effect=0.47),
                "block": ErrorLimits(floor=2.4e-7, allowed=1.3e-6, effect=0.83),
            },
        )
        for layer in range(N_LAYERS)
    ),
    logits={"plain": _error(11.6), "weights": _error(4.2), "shift": _error(6.0), "patched": _error(3e-12)},
    controls={"random": _error(13.1), "shuffled": _error(2.2)},
    noise_floor=2.4e-6,
    undone=True,
    tolerance=1e-4,
    ok=True,
    logit_scale=20.0,
    patched_share=4.5e-13,
    noise_share=1.2e-7,
    allowed=1.3e-6,
    note="The identity holds for any vectors; the controls and the noise floor are what it is to be judged by.",
)


QUERIES = (
    "The capital of Egypt is",
    "The capital of Chad is",
    "And that of Peru is",
    "The capital of Mali is",
)
"""The first two are fitted."""
_CURVE = tuple(
    ChoicePoint(
        step=step,
        metric="plain" if step == "metric" and at == 0 else "ordinary",
        epsilon=(0.001, 0.01, 0.1)[at] if step == "epsilon" else 0.01,
        ridge=0.01,
        layers=tuple(range(at * 2, N_LAYERS)) if step == "layers" else tuple(range(N_LAYERS)),
        components="both",
        alpha=1.0,
        r_median=0.95 - 0.1 * abs(at - best),
        kl=0.05,
        collateral=1.1 if step == "metric" and at == 0 else 0.15 + 0.1 * at,
        seconds=0.2,
        chosen=at == best,
    )
    for step, n, best in (("metric", 2, 1), ("epsilon", 3, 1), ("layers", 3, 0))
    for at in range(n)
)
COMPILATION = Compilation(
    refused=None,
    chosen=PatchChoice(
        metric="ordinary",
        epsilon=0.01,
        ridge=0.01,
        layers=tuple(range(N_LAYERS)),
        components="both",
        alpha=1.0,
        rank=18,
    ),
    calibration=CalibrationSummary(kind="user", n_queries=2, n_tokens=18, queries=QUERIES[:2]),
    unseen=Unseen(
        n_queries=2,
        n_tokens=4,
        kl=0.12,
        kl_plain=2.9,
        r_median=0.95,
        r_mean=0.94,
        equal=4,
        equal_plain=0,
        n_agreeing=2,
        n_agreeing_plain=0,
    ),
    collateral=CollateralSummary(kl=0.15, n_tokens=512),
    leave_one_out=LeaveOneOut(r_median=0.95, n_queries=2, kl=0.1, kl_plain=2.9, curve=_CURVE),
    seconds=2.5,
    recipe=Recipe(mode="compiled", metric="ordinary", ridge=0.01, queries=QUERIES[:2]),
    query=QUERY,
    sentence="speaks for the context on 2 of 2 unseen queries (0 without it); changes other text by 0.15 nats",
    queries=tuple(
        CompiledQuery(
            query=query,
            role="calibration" if query in QUERIES[:2] else "unseen",
            context=" Oslo.",
            patched=" Oslo.",
            plain=" Lima.",
            n_tokens=2,
            kl=0.06,
            kl_plain=1.45,
            r=0.95,
            equal=2,
            equal_plain=0,
            agrees=True,
            agrees_plain=False,
        )
        for query in (*QUERIES[2:], *QUERIES[:2])
    ),
)
"""The sample context as one patch."""


def exam_row(patch: ExamPatch) -> ExamRow:
    """Better the earlier it comes; one could not be made."""
    at = EXAM_PATCHES.index(patch)
    if patch == "shift-alone":
        return ExamRow(
            patch=patch, reason="the down projections are quantized: it needs weights in full numbers"
        )
    r = 1.0 - 0.15 * at
    return ExamRow(
        patch=patch,
        r_median=r,
        r_low=r - 0.2,
        r_high=min(r + 0.1, 1.0),
        n_queries=2,
        n_tokens=4,
        right=2 if at < 3 else 1,
        right_context=2,
        collateral_kl=None if patch == "per-step" else 0.1 + 0.2 * at,
        seconds=0.5 * at,
        floats=None if patch == "per-step" else 30_000,
        rank=None if patch == "per-step" else 18,
        queries=tuple(
            ExamAnswer(kl=5.8 * (1 - r), r=r, text=text, right=text == " Oslo.")
            for text in (" Oslo.", " Oslo." if at < 3 else " Lima.")
        ),
    )


def exam(n_rows: int = len(USUAL_ROWS)) -> Exam:
    """The exam with its first rows."""
    return Exam(
        rows=tuple(exam_row(patch) for patch in USUAL_ROWS[:n_rows]),
        queries=tuple(
            ExamQuery(
                query=query,
                answer=None,
                n_tokens=2,
                kl_plain=2.9,
                context=" Oslo.",
                plain=" Lima.",
                right_context=True,
                right_plain=False,
                prior_margin=1.5,
            )
            for query in QUERIES[2:]
        ),
        calibration=QUERIES[:2],
        n_fitted=1,
        layers=tuple(range(N_LAYERS)),
        notes=("two queries give wide intervals",),
    )


def session(*, is_measured: bool = True) -> Session:
    """The saved example, with numbers or without."""
    return Session(
        title="capital-conflict",
        created="2026-01-01T00:00:00+00:00",
        prompt=PROMPT,
        model=MODEL if is_measured else None,
        measurement=MEASUREMENT if is_measured else None,
        generation=generation(LANES[:2]) if is_measured else None,
    )


def parted(generation: Generation) -> Generation:
    """The same, but for the patched lane's second token, which ends it."""
    steps = generation.lanes["patched"].steps
    other = replace(steps[1], token=Token(id=9, text=" no"), text=f"{steps[0].text} no")
    lane = LaneText(text=other.text, token_ids=(steps[0].token.id, 9), steps=(steps[0], other))
    return replace(generation, lanes={**generation.lanes, "patched": lane})


def with_kl(generation: Generation, kl: float) -> Generation:
    """The same, with the KL of the patched lane after the query."""
    kls: dict[Lane, float] = {"plain": 2.91, "patched": kl}
    fit = {lane: LogitError(mse=1.0, kl=one, linf=1.0, top1_equal=one < 1) for lane, one in kls.items()}
    return replace(generation, fit=fit)


def family() -> Session:
    """A session of four runs: a first one, two strengths of it, and another mode of the second, whose text parts."""
    first, said = session(), generation()
    alphas = ((2, 0.0, 2.91), (3, 0.5, 0.62))
    grid = (
        Run(
            number=number,
            parent=1,
            session=replace(first, recipe=Recipe(alpha=alpha), generation=with_kl(said, kl)),
        )
        for number, alpha, kl in alphas
    )
    frozen = replace(first, recipe=Recipe(alpha=0.5, mode="frozen"), generation=with_kl(parted(said), 1.25))
    last = Run(number=4, parent=3, session=frozen, note="only the query's own token")
    runs = (Run(number=1, session=first, starred=True), *grid, last)
    return replace(first, recipe=Recipe(alpha=0.5), generation=with_kl(said, 0.62), runs=runs, run=3)
