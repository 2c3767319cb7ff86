"""Whole sessions: one made by hand, and any that hypothesis can think of."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from icltui.values import (
    FORMAT,
    Agreement,
    AttentionHeads,
    Candidate,
    Generation,
    LaneStep,
    LaneText,
    LayerCheck,
    LogitError,
    Measurement,
    ModelInfo,
    Pairs,
    PatchEffects,
    Prediction,
    RefusedLayer,
    Row,
    Run,
    Session,
    Token,
    TokenizedPrompt,
    Unit,
    Verification,
)
from icltui.values.bounds import SEED, TOKENS
from icltui.values.heads import HeadContributions, HeadIndex
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe, Sampling

HOSTILE = "\x1b[2J[/INST]\x9b31m\u202eabc\u2067\n\udc80"
"""A token that clears the screen, breaks markup and is no whole character."""

ROME, PARIS = Token(id=7, text=" Rome"), Token(id=8, text=" Paris")


def a_row(unit: int, layer: int) -> Row:
    later = {
        "delta_norm": 0.25,
        "shift_norm": 0.5,
        "patch_norm": 1 / 3,
        "relative_patch_norm": 0.01,
        "cumulative_patch_norm": 0.3 * unit,
        "output_patch_norm": 0.125,
        "amplification": 1.5,
        "implicit_loss": -2.0,
        "half_step_square": 0.75,
        "matrix_norms": {"gate": 0.25, "up": 0.5} | ({"expert 3": None} if layer else {}),
    }
    return Row(
        unit=unit,
        layer=layer,
        z_norm=8.0,
        learning_rate=1 / 64,
        net_patch_norm=0.2 * unit + layer,
        **(later if unit else {}),
    )


def a_prediction(unit: int) -> Prediction:
    top = (Candidate(token=ROME, probability=0.75), Candidate(token=PARIS, probability=0.125))
    return Prediction(unit=unit, top=top, entropy=0.5, kl_to_full=None if unit else 2.5)


A_MODEL = ModelInfo(
    name="demo",
    revision=None,
    fingerprint="abc",
    architecture="Qwen3ForCausalLM",
    n_layers=2,
    hidden_size=8,
    n_parameters=1000,
    dtype="float32",
    device="cpu",
    window=128,
    path="packed",
    versions={"icltui": "0.1.0"},
)
REFUSING = msgspec.structs.replace(
    A_MODEL,
    n_layers=6,
    path="loop",
    path_reason="no cache",
    refused=tuple(RefusedLayer(layer=layer, reason="error 0.3") for layer in (2, 3, 5)),
)
A_MEASUREMENT = Measurement(
    tokens=TokenizedPrompt(
        prefix=(Token(id=0, text="<s>"),),
        context=(Token(id=5, text="The"), Token(id=6, text=HOSTILE)),
        query=(Token(id=9, text="is"),),
        units=(Unit(index=1, text="The", tokens=1), Unit(index=2, text=HOSTILE, tokens=1)),
        notes=("one token straddles",),
    ),
    layers=(0, 1),
    rows=tuple(a_row(unit, layer) for unit in range(3) for layer in range(2)),
    predictions=tuple(a_prediction(unit) for unit in range(3)),
    path="packed",
    seconds=0.5,
    pairs=(Pairs(layer=1, cosine=((1.0, 0.875), (0.875, 1.0)), transfer=((0.0, 0.625), (None, 0.0))),),
)
AN_ERROR = LogitError(mse=1e-12, kl=None, linf=3e-6, top1_equal=True)
DROPPED = msgspec.structs.replace(
    A_MEASUREMENT,
    dynamics="drop",
    rows=tuple(
        msgspec.structs.replace(
            a_row(unit, layer),
            net_patch_norm=None,
            cumulative_patch_norm=None,
            delta_norm=(None, 0.75, 0.5)[unit],
            output_patch_norm=unit,
        )
        for unit in range(3)
        for layer in range(2)
    ),
)
"""Each unit left out alone: the first moves every layer most."""
A_GENERATION = Generation(
    lanes={
        "context": LaneText(
            text=" Rome. \x1b[31mred\nnext line",
            token_ids=(7, 1),
            steps=(
                LaneStep(
                    lane="context",
                    index=0,
                    token=ROME,
                    text=" Rome",
                    top=(Candidate(token=ROME, probability=0.9),),
                    kl_to_context=0.0,
                ),
            ),
        ),
        "plain": LaneText(text=" Paris.", token_ids=(8, 1), steps=()),
        "patched": LaneText(text=" Rome.", token_ids=(7, 1), steps=()),
    },
    agreement={
        "plain": Agreement(equal=1, total=2, first_difference=0),
        "patched": Agreement(equal=2, total=2, first_difference=None),
    },
    fit={"plain": LogitError(mse=4.0, kl=2.5, linf=9.0, top1_equal=False), "patched": AN_ERROR},
    recipe=Recipe(),
    layers=(0, 1),
)
A_VERIFICATION = Verification(
    layers=(
        LayerCheck(
            layer=0,
            identity_error=1e-7,
            block_error=2e-7,
            cosine=1.0,
            nmse=1e-13,
            mlp_error=4e-7,
            rank=1,
            gradient_alignment=0.5,
        ),
        LayerCheck(layer=1, identity_error=None, block_error=3e-7, cosine=1.0, nmse=1e-13),
    ),
    logits={"plain": A_GENERATION.fit["plain"], "weights": AN_ERROR, "shift": AN_ERROR, "patched": AN_ERROR},
    controls={"random": A_GENERATION.fit["plain"], "shuffled": A_GENERATION.fit["plain"]},
    noise_floor=1e-6,
    undone=True,
    tolerance=1e-4,
    ok=True,
    note="identity_error is a tautology; the logits are not",
)
A_SESSION = Session(
    title="capital-conflict",
    created="2025-01-02T03:04:05+00:00",
    prompt=Prompt(context="The capital of France is Rome.\n", query="The capital of France is"),
    layers="0-1",
    model=A_MODEL,
    measurement=A_MEASUREMENT,
    generation=A_GENERATION,
    verification=A_VERIFICATION,
)


def _is_one_text(text: str) -> bool:
    """Two halves of a character side by side are one in JSON, and no such text can be typed."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


TEXTS = st.text(max_size=8).filter(_is_one_text) | st.text(
    st.characters(categories=("Cc", "Cs", "Zl", "Zp")), max_size=3
).filter(_is_one_text)
LEAVES: dict[type, st.SearchStrategy[Any]] = {
    msgspec.inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    msgspec.inspect.StrType: TEXTS,
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.NoneType: st.none(),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a struct's field, found from its annotation."""
    match kind:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: anything(field.type) for field in fields})
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.StructType(cls=cls)) if cls is Run:
            return st.just(())  # a run holds a session, which holds runs: see ``sessions``
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(anything(item), max_size=2).map(tuple)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(anything(key), anything(value), max_size=3)
        case msgspec.inspect.UnionType(types=kinds):
            return st.one_of(*map(anything, kinds))
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern.removeprefix("^").removesuffix("$"), fullmatch=True)
        case msgspec.inspect.IntType(ge=least, le=most, lt=over):
            return st.integers(least, over - 1 if most is None else most)
        case _:
            return LEAVES[type(kind)]


def of(struct: type) -> st.SearchStrategy[Any]:
    """Any value of a struct, whether or not its parts fit together."""
    return anything(msgspec.inspect.type_info(struct))


def _square(size: int) -> st.SearchStrategy[Any]:
    row = st.tuples(*[anything(msgspec.inspect.type_info(float | None))] * size)
    return st.tuples(*[row] * size)


SEEDS = st.integers(0, SEED)
LOSSES = (
    *("loss", "loss_without", "smooth", "smooth_without"),
    *("derivative", "derivative_low", "derivative_high"),
)
"""The curves' numbers at each position."""


def _numbers(n: int) -> st.SearchStrategy[Any]:
    """So many numbers, some of them not known."""
    return st.tuples(*[anything(msgspec.inspect.type_info(float | None))] * n)


def _whole_heads(draw: st.DrawFn, heads: AttentionHeads, layers: tuple[int, ...]) -> AttentionHeads:
    """The heads with scores of two heads a layer, and δ split over these and the units."""
    pairs = [(layer, head) for layer in layers for head in (0, 1)]
    scores = tuple(
        msgspec.structs.replace(score, layer=layer, head=head)
        for score, (layer, head) in zip(heads.heads, pairs, strict=False)
    )
    named = tuple(HeadIndex(layer=score.layer, head=score.head) for score in scores[:1])
    n = len(heads.tokens.units)
    contributions = tuple(
        HeadContributions(
            layer=layer,
            delta_norm=one.delta_norm,
            sum_error=one.sum_error,
            head_share=draw(_numbers(2)),
            **{name: (draw(_numbers(n)), draw(_numbers(n))) for name in ("share", "norm", "attention")},
        )
        for one, layer in zip(heads.contributions, layers, strict=False)
    )
    return msgspec.structs.replace(
        heads, heads=scores, induction_heads=named, previous_heads=(), contributions=contributions
    )


def _whole_effects(draw: st.DrawFn, effects: PatchEffects, layers: tuple[int, ...]) -> PatchEffects:
    """The effects with a number at each of the layers, of at most one unit."""
    units = tuple(
        msgspec.structs.replace(of, unit=1, kl=draw(_numbers(len(layers))))
        for of in effects.units[: min(1, len(effects.tokens.units))]
    )
    random = draw(_numbers(len(layers))) if effects.random else ()
    return msgspec.structs.replace(effects, layers=layers, units=units, random=random)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe that a patch can be made by."""
    recipe = msgspec.structs.replace(
        draw(of(Recipe)),
        alpha=draw(st.floats(0, 2) | st.sampled_from(["search", "jvp"])),
        n_fitted=draw(st.integers(0, 100)),
        rank=draw(st.none() | st.integers(1, 100)),
        ridge=draw(st.floats(0, 1e6)),
        epsilon=draw(st.floats(0, 1e3, exclude_min=True)),
        queries=draw(st.lists(TEXTS.filter(bool), max_size=2).map(tuple)),
        seed=draw(SEEDS),
    )
    is_whole = recipe.control != "other" or recipe.other_context
    return recipe if is_whole else msgspec.structs.replace(recipe, other_context="x")


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    """Any way that text can be drawn in."""
    return Sampling(
        temperature=draw(st.floats(0, 1e6)),
        top_k=draw(st.none() | st.integers(1, 100)),
        top_p=draw(st.floats(0, 1, exclude_min=True)),
        seed=draw(SEEDS),
    )


@st.composite
def sessions(draw: st.DrawFn) -> Session:
    """Any session whose parts fit together, with the runs that led to it."""
    session = draw(_sheets())
    numbers = draw(st.lists(st.integers(1, 99), max_size=2, unique=True).map(sorted))
    runs = tuple(
        Run(
            number=number,
            parent=draw(st.none() | st.integers(1, number - 1)) if number > 1 else None,
            note=draw(TEXTS),
            starred=draw(st.booleans()),
            session=draw(_sheets()),
        )
        for number in numbers
    )
    run = draw(st.none() | st.sampled_from(numbers)) if numbers else None
    return msgspec.structs.replace(session, runs=runs, run=run)


@st.composite
def _sheets(draw: st.DrawFn) -> Session:
    session = msgspec.structs.replace(draw(of(Session)), run=None)
    refused = session.model.refused[:1] if session.model else ()
    usable = [(), (1,)] if refused else [(), (0,), (0, 1)]
    measured, generation, proof = session.measurement, session.generation, session.verification
    if measured is not None:
        units = tuple(
            msgspec.structs.replace(unit, index=index) for index, unit in enumerate(measured.tokens.units, 1)
        )
        layers = draw(st.sampled_from(usable))
        cells = [(unit, layer) for unit in range(len(units) + 1) for layer in layers]
        measured = msgspec.structs.replace(
            measured,
            tokens=msgspec.structs.replace(measured.tokens, units=units),
            layers=layers,
            rows=tuple(
                msgspec.structs.replace(row, unit=unit, layer=layer)
                for row, (unit, layer) in zip(measured.rows, cells, strict=False)
            ),
            predictions=tuple(
                msgspec.structs.replace(prediction, unit=0, top=prediction.top or a_prediction(0).top)
                for prediction in measured.predictions[:1]
            ),
            pairs=tuple(
                Pairs(layer=layer, cosine=matrix, transfer=matrix)
                for layer in layers
                for matrix in [draw(_square(len(units)))]
            ),
        )
    if generation is not None:
        agreement = {k: v for k, v in generation.agreement.items() if k in generation.lanes}
        layers = draw(st.sampled_from(usable))
        generation = msgspec.structs.replace(
            generation,
            agreement=agreement,
            layers=layers,
            recipe=draw(recipes()),
            sampling=draw(samplings()),
            holdout=tuple(filter(None, generation.holdout)),
        )
    compilation, exam = session.compilation, session.exam
    if compilation is not None:
        layers, found = draw(st.sampled_from(usable)), compilation.leave_one_out
        curve = tuple(msgspec.structs.replace(point, layers=layers) for point in found.curve)
        compilation = msgspec.structs.replace(
            compilation,
            chosen=msgspec.structs.replace(compilation.chosen, layers=layers),
            leave_one_out=msgspec.structs.replace(found, curve=curve),
            recipe=draw(recipes()),
        )
    if exam is not None:
        rows = tuple(msgspec.structs.replace(row, queries=()) for row in exam.rows[:1])
        exam = msgspec.structs.replace(exam, layers=draw(st.sampled_from(usable)), rows=rows)
    curves, heads = session.curves, session.heads
    if curves is not None:
        n = len(curves.tokens.context) + len(curves.tokens.query)
        losses = {name: draw(_numbers(n)) for name in LOSSES}
        own = curves.own and msgspec.structs.replace(curves.own, n_tokens=draw(st.integers(0, n)))
        curves = msgspec.structs.replace(curves, own=own, **losses)
    if heads is not None:
        heads = _whole_heads(draw, heads, draw(st.sampled_from(usable)))
    effects = session.effects and _whole_effects(draw, session.effects, draw(st.sampled_from(usable)))
    if proof is not None:
        proof = msgspec.structs.replace(
            proof,
            logits={**proof.logits, "plain": AN_ERROR, "patched": AN_ERROR},
            layers=tuple(msgspec.structs.replace(check, layer=1) for check in proof.layers[:1]),
        )
    model = session.model and msgspec.structs.replace(
        session.model,
        n_layers=2,
        refused=tuple(msgspec.structs.replace(one, layer=0) for one in refused),
    )
    return msgspec.structs.replace(
        session,
        format=FORMAT,
        prompt=msgspec.structs.replace(session.prompt, unit=session.prompt.unit or "token"),
        layers=draw(st.sampled_from(["all", "none", "1" if refused else "0-1"])),
        n_tokens=draw(st.integers(1, TOKENS)),
        recipe=draw(recipes()),
        sampling=draw(samplings()),
        holdout=tuple(filter(None, session.holdout)),
        model=model,
        measurement=measured,
        generation=generation,
        verification=proof,
        compilation=compilation,
        exam=exam,
        curves=curves,
        heads=heads,
        effects=effects,
    )
