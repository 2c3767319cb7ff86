"""``icltui replay``: all that a session records, computed again; exit 1 when something differs."""

import argparse
from collections.abc import Callable, Iterator
from functools import partial

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.engine import Engine
from icltui.api.messages import Compile, Generate, LoadModel, Measure, Verify
from icltui.cli.common import load_model, load_request, local_engine, request_from
from icltui.cli.options import add_options, add_output
from icltui.cli.output import check_output, stdout_to_stderr, terminal_width, write_text
from icltui.storage.paths import typed_path
from icltui.storage.sessions import read_session
from icltui.values import (
    Compilation,
    Generation,
    LeaveOneOut,
    Measurement,
    ModelInfo,
    Record,
    Replay,
    Section,
    Session,
    Verification,
)
from icltui.values.errors import BadInput
from icltui.values.prompt import layers_text
from icltui.values.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Recompute everything that a session records, on the model that it was saved on, and report what differs and "
        "by how much. The model is loaded as it was then, except for the options given here. Exit 0: nothing differs "
        "beyond rounding; 1: something does; 2: there is nothing to compute, or the weights differ."
    )
    parser.add_argument(
        "session", metavar="SESSION.json", type=typed_path, help="a saved session with results"
    )
    add_options(parser.add_argument_group("model"), "model")
    add_output(parser, ("table", "json"))


def replay(args: argparse.Namespace) -> int:
    """``icltui replay``."""
    from icltui.report import replay

    session = read_session(args.session)
    saved = _origin(session, str(args.session))
    check_output(args)
    engine = local_engine()
    now = load_model(engine, model_request(args, session, saved))
    check_weights(saved, now)
    with stdout_to_stderr():
        result = run(engine, session, saved, now)
    as_json = args.format == "json"
    text = replay.replay_json(now, result) if as_json else replay.replay_text(result, terminal_width())
    write_text(args, text)
    return 0 if result.same else 1


def run(engine: Engine, session: Session, saved: ModelInfo, now: ModelInfo) -> Replay:
    """Compute every result of the session again by ``engine``, which holds the model ``now``, and compare the two."""
    from icltui.replay.compare import compare
    from icltui.replay.setup_changes import model_changes, prompt_change
    from icltui.replay.tolerance import coarser_dtype

    dtype = coarser_dtype(saved, now)
    sections, prompts = [], []
    for section, record, job in _jobs(engine, session):
        again = job()
        sections.append(compare(section, record, again, dtype))
        prompts.append(prompt_change(record, again))
    return Replay(
        same=all(section.same for section in sections),
        held_to=dtype,
        notes=(*dict.fromkeys(filter(None, prompts)), *model_changes(saved, now)),
        sections=tuple(sections),
    )


def check_weights(saved: ModelInfo, now: ModelInfo) -> None:
    """Refuse another model. In another dtype fingerprints differ for equal weights, so the model's shape decides.

    Raises:
        BadInput: with the way out.
    """
    converted = (saved.dtype, saved.quantize) != (now.dtype, now.quantize)
    names = ("architecture", "n_layers", "hidden_size") if converted else ("fingerprint",)
    for name in names:
        was, found = getattr(saved, name), getattr(now, name)
        if was != found:
            raise BadInput(
                f"model {now.name!r} is not the session's: {name.replace('_', ' ')} {found}, saved was "
                f"{was}: name the session's own with --model and --revision"
            )


def _origin(session: Session, path: str) -> ModelInfo:
    if not (session.measurement or session.generation or session.verification or session.compilation):
        raise BadInput(
            f"{path!r} holds no results to compute again: run measure, generate, verify or compile with --save first"
        )
    if session.model is None:
        raise BadInput(
            f"{path!r} does not say which model its results come from: restore a copy that has its model"
        )
    return session.model


def model_request(args: argparse.Namespace, session: Session, saved: ModelInfo) -> LoadModel:
    """The recorded model as it was loaded; ``--model`` says where it is kept now."""
    if args.model is not None:
        session = replace(session, model=replace(saved, name=args.model, revision=args.revision))
        args.model = None
    return load_request(args, session)


def _jobs(engine: Engine, session: Session) -> Iterator[tuple[Section, Record, Callable[[], Record]]]:
    """Each result of the session, and how to compute it again from what it says of itself."""
    if (measured := session.measurement) is not None:
        yield "measurement", measured, partial(run_to_result.measure, engine, _measure(session, measured))
    if (generated := session.generation) is not None:
        yield "generation", generated, partial(run_to_result.generate, engine, _generate(session, generated))
    if (verified := session.verification) is not None:
        yield "verification", verified, partial(run_to_result.verify, engine, _verify(session, verified))
    if (compiled := session.compilation) is not None:
        yield "compilation", result_of(compiled), partial(_compiled_again, engine, session, compiled)


def _measure(session: Session, measured: Measurement) -> Measure:
    layers = _layers(session, measured.layers)
    return request_from(Measure, session, measured, layers=layers, pairs=bool(measured.pairs))


def _generate(session: Session, generated: Generation) -> Generate:
    layers, lanes = _layers(session, generated.layers), tuple(generated.lanes)
    curves = generated.patch is not None and generated.patch.curves is not None
    return request_from(Generate, session, generated, layers=layers, lanes=lanes, curves=curves)


def _verify(session: Session, verified: Verification) -> Verify:
    layers = _layers(session, tuple(check.layer for check in verified.layers))
    return request_from(Verify, session, verified, layers=layers)


def _compiled_again(engine: Engine, session: Session, compiled: Compilation) -> Compilation:
    """The patch that was chosen, made and tested anew."""
    return result_of(run_to_result.compile(engine, _compile(session, compiled)))


def _compile(session: Session, compiled: Compilation) -> Compile:
    """The request that leaves nothing to choose, and writes nothing."""
    return Compile(
        prompt=replace(session.prompt, query=compiled.query),
        layers=_layers(session, compiled.chosen.layers),
        recipe=compiled.recipe,
        pinned=(*Recipe.__struct_fields__, "layers"),
        holdout=tuple(query.query for query in compiled.queries if query.role == "unseen"),
        calibrate="user",
    )


def result_of(compiled: Compilation) -> Compilation:
    """What a patch does, without how it was chosen and what was written."""
    return replace(
        compiled,
        chosen=replace(compiled.chosen, pinned=()),
        calibration=replace(compiled.calibration, kind="user"),
        leave_one_out=LeaveOneOut(r_median=None),
        refused=None,
        forced=False,
        files=(),
        left_out=(),
        notes=(),
        sentence="",
    )


def _layers(session: Session, layers: tuple[int, ...]) -> str:
    n_layers = session.model.n_layers if session.model else 0
    return layers_text(layers, n_layers)
