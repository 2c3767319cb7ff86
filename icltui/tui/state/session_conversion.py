"""A session becomes settings, and settings with results become a session again; and what of them it leaves out."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace as with_changes

from icltui.api.messages import Request
from icltui.storage.paths import is_example
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings, choices_in
from icltui.tui.state.session_file import Document
from icltui.values import Generation, Lane, Session


def settings_of(session: Session, path: Path | None) -> RunSettings:
    """The choices that ``session`` was saved with.

    ΔW is on where its lane was saved, but not in an example: there the user is to see what turning it on does.
    """
    is_patched = session.generation is not None and "patched" in session.generation.lanes
    is_delta_on = is_patched and not (path and is_example(path))
    forced = session.generation.forced if session.generation else {}
    settings = RunSettings(**choices_in(session), is_delta_on=is_delta_on, forced=forced)
    return settings.fitted(session.model) if session.model else settings


def session_of(document: Document, settings: RunSettings, results: Results) -> Session:
    """The session to save, with only those complete results that belong to the present prompt and to one model.

    That is the loaded model, or, where nothing is of it, the one that the session came with.
    """
    measured = (
        results.measurement_origin if _answers(results.measurement_origin, settings.measure()) else None
    )
    texts = _answering_texts(results, settings)
    generated = results.generation_origin if texts else None
    verified = (
        results.verification_origin if _answers(results.verification_origin, settings.verify()) else None
    )
    trials = results.trials
    # They say by themselves of which queries they are.
    compiled = trials.compilation_origin if _is_of_prompt(trials.compilation_origin, settings) else None
    examined = trials.exam_origin if _is_of_prompt(trials.exam_origin, settings) else None
    inspections = results.inspections
    curved = inspections.curves_origin if _is_of_prompt(inspections.curves_origin, settings) else None
    headed = inspections.heads_origin if _is_of_prompt(inspections.heads_origin, settings) else None
    acted = inspections.effects_origin if _is_of_prompt(inspections.effects_origin, settings) else None
    held = (measured, generated, verified, compiled, examined, curved, headed, acted)
    origins = [origin for origin in held if origin]
    ours = [origin for origin in origins if origin.is_of(results.model)] or origins
    model = ours[0].model if ours else results.model
    kept = [origin for origin in ours if origin.is_of(model)]
    return Session(
        title=document.title,
        created=document.created or datetime.now(UTC).isoformat(timespec="seconds"),
        **(settings.fitted(model) if model else settings).choices(Session),
        model=model,
        measurement=results.measurement if measured in kept else None,
        generation=texts if generated in kept else None,
        verification=results.verification if verified in kept else None,
        compilation=trials.compilation if compiled in kept else None,
        exam=trials.exam if examined in kept else None,
        curves=inspections.curves if curved in kept else None,
        heads=inspections.heads if headed in kept else None,
        effects=inspections.whole_effects if acted in kept else None,
    )


def left_out(session: Session, settings: RunSettings, results: Results) -> tuple[str, ...]:
    """What is on the screen and neither in ``session`` nor in one of its runs."""
    held = (session, *(run.session for run in session.runs))
    shown = {
        lane: results.texts.steps[lane] for lane in settings.generate().lanes if lane in results.texts.steps
    }
    texts = [one.generation.lanes for one in held if one.generation]
    is_complete = results.measured_origin is results.measurement_origin
    is_held = is_complete and results.measurement in [one.measurement for one in held]
    names = {
        "numbers": results.measured_origin is not None and not is_held,
        "lanes": any(
            all(lane not in lanes or lanes[lane].steps != steps for lanes in texts)
            for lane, steps in shown.items()
        ),
        "verification": results.verification is not None
        and results.verification not in [one.verification for one in held],
        "compilation": results.trials.compilation not in [None, *(one.compilation for one in held)],
        "exam": results.trials.exam not in [None, *(one.exam for one in held)],
        "curves": results.inspections.curves not in [None, *(one.curves for one in held)],
        "heads": results.inspections.heads not in [None, *(one.heads for one in held)],
        "effects": results.inspections.effects not in [None, *(one.effects for one in held)],
    }
    return tuple(name for name, is_missing in names.items() if is_missing)


def without_words(missing: Iterable[str]) -> str:
    """The end of a line about a file: what is not in it; empty if nothing is missing."""
    names = " and ".join(missing)
    return f", without the {names} on the screen: incomplete, or of another prompt or model" if names else ""


def _is_of_prompt(origin: Provenance | None, settings: RunSettings) -> bool:
    return origin is not None and getattr(origin.request, "prompt", None) == settings.prompt


def _answers(origin: Provenance | None, request: Request, lane: Lane | None = None) -> bool:
    return origin is not None and origin.answers(request, lane)


def _answering_texts(results: Results, settings: RunSettings) -> Generation | None:
    """The texts of the present prompt; without the patched one where the choices ask for another patch."""
    texts = results.generation
    if texts is None:
        return None
    lanes = {
        lane: text
        for lane, text in texts.lanes.items()
        if _answers(results.generation_origin, settings.generate(), lane)
    }
    if not lanes or len(lanes) == len(texts.lanes):
        return texts if lanes else None
    return with_changes(
        texts,
        lanes=lanes,
        agreement={lane: value for lane, value in texts.agreement.items() if lane in lanes},
        fit={lane: value for lane, value in texts.fit.items() if lane in lanes},
        patch=None,
        forced={lane: tokens for lane, tokens in texts.forced.items() if lane in lanes},
    )
