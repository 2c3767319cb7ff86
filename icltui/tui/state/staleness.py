"""Results and settings enter; one line leaves that says why what is shown is not the answer, or nothing if it is."""

from msgspec.structs import replace as with_changes

from icltui.api.messages import Examine, Generate, Measure
from icltui.tui.state.plain_method import plain_method
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings, method_words
from icltui.values import Lane, ModelInfo


def numbers_note(results: Results, settings: RunSettings) -> str:
    """Why the measured numbers are not the answer."""
    origin, measured = results.measured_origin, results.measured
    if origin is None or results.is_numbers_fresh(settings):
        return ""
    asked = method_words(settings.measure())
    is_same = isinstance(origin.request, Measure) and method_words(origin.request) == asked
    asked = plain_method(settings.measure())
    if origin.is_stopped:
        return f"stopped at {measured.n_measured - 1}/{measured.n_units - 1}, ^r runs" + (
            "" if is_same else f": {asked}"
        )
    if foreign := _foreign(origin, results.model, ("measured", "measures")):
        return foreign if is_same else f"{foreign}: {asked}"
    return "edited, ^r runs" if is_same else f"^r runs: {asked}"


def lane_note(results: Results, settings: RunSettings, lane: Lane) -> str:
    """Why a lane's text is not the answer."""
    origin = results.texts.origins.get(lane)
    if origin is None or results.is_lane_fresh(lane, settings):
        return ""
    if origin.is_stopped:
        return f"stopped at {len(results.texts.steps[lane])}/{settings.n_tokens}, ^r runs"
    return _foreign(origin, results.model, ("generated", "generates")) or "edited, ^r runs"


def curves_note(results: Results, settings: RunSettings, is_alpha: bool) -> str:
    """Why the curves are not the answer; ``is_alpha``: those against strength, which hold whatever strength acts."""
    origin = results.varied_origin
    if origin is None or not isinstance(origin.request, Generate):
        return ""
    asked = settings.vary()
    if is_alpha:
        asked = with_changes(asked, recipe=with_changes(asked.recipe, alpha=origin.request.recipe.alpha))
    if origin.is_what(asked, results.model, "patched"):
        return ""
    return _foreign(origin, results.model, ("varied", "varies"), "C") or "edited, C varies it"


def proof_note(results: Results, settings: RunSettings) -> str:
    """Why the verification is not the answer."""
    origin = results.verification_origin
    if origin is None or results.is_proof_fresh(settings):
        return ""
    return _foreign(origin, results.model, ("verified", "verifies"), "v") or "edited, v verifies"


def compilation_note(results: Results, settings: RunSettings) -> str:
    """Why the compilation is not the answer."""
    trials = results.trials
    if trials.compilation_origin is None or trials.is_compilation_fresh(settings, results.model):
        return ""
    words = "compiled", "compiles"
    return _foreign(trials.compilation_origin, results.model, words, "W") or "edited, W compiles"


def exam_note(results: Results, settings: RunSettings) -> str:
    """Why the exam is not the answer."""
    trials = results.trials
    origin, exam = trials.exam_origin, trials.exam
    if origin is None or trials.is_exam_fresh(settings, results.model):
        return ""
    if origin.is_stopped and exam and isinstance(origin.request, Examine):
        return f"stopped at {len(exam.rows)}/{len(origin.request.rows)}, X examines"
    return _foreign(origin, results.model, ("examined", "examines"), "X") or "edited, X examines"


def inspection_note(results: Results, settings: RunSettings, what: str) -> str:
    """Why the ``curves``, the ``heads`` or the ``effects`` are not the answer."""
    held, model = results.inspections, results.model
    origin, is_fresh, key = {
        "curves": (held.curves_origin, held.is_curves_fresh, "I"),
        "heads": (held.heads_origin, held.is_heads_fresh, "K"),
        "effects": (held.effects_origin, held.is_effects_fresh, "E"),
    }[what]
    if origin is None or is_fresh(settings, model):
        return ""
    return _foreign(origin, model, ("measured", "measures"), key) or f"edited, {key} measures"


def any_note(results: Results, settings: RunSettings) -> str:
    """The first note on numbers or lanes; or that there are no results yet."""
    lanes = (lane_note(results, settings, lane) for lane in settings.generate().lanes)
    is_new = results.measured_origin is None and not results.texts.steps and settings.prompt.query.strip()
    return next(filter(None, (numbers_note(results, settings), *lanes)), "not run, ^r runs" if is_new else "")


def _foreign(origin: Provenance, model: ModelInfo | None, verb: tuple[str, str], key: str = "^r") -> str:
    if origin.is_of(model):
        return ""
    theirs, ours = _name(origin.model), _name(model)
    theirs = f"other weights of {ours}" if theirs == ours else theirs
    past, present = verb
    return f"{past} on {theirs}, {key} {present} on {ours}"


def _name(model: ModelInfo | None) -> str:
    return short_name(model.name) if model else "an unknown model"


def short_name(model: str) -> str:
    """A model's name without its folder or owner."""
    return model.rstrip("/").rpartition("/")[2]
