"""What belongs to one run: which results add to it, which begin another one, and how two states of one are joined."""

from msgspec.structs import replace as with_changes

from icltui.tui.state.provenance import fingerprint
from icltui.values import Generation, Run, Session
from icltui.values.recipe import canonical

RESULTS = ("measurement", "generation", "verification", "compilation", "exam", "curves", "heads", "effects")
"""The fields of a session that hold results."""


def has_results(session: Session) -> bool:
    """Whether anything came of it."""
    return any(getattr(session, name) for name in RESULTS)


def is_all_in(session: Session, run: Run) -> bool:
    """Whether ``session`` alone holds all that ``run`` does."""
    ours = run.session
    pairs = ((getattr(ours, name), getattr(session, name)) for name in RESULTS)
    return not run.note and not run.starred and all(one is None or one == other for one, other in pairs)


def is_same_run(ours: Session, theirs: Session, is_new: bool) -> bool:
    """Whether ``theirs`` adds to the run of ``ours``; ``is_new``: only where no choice differs."""
    if not has_results(ours):  # put down by drafted() and not run
        return ours.prompt == theirs.prompt
    if _asked(ours) != _asked(theirs):
        return False
    return not is_new or _drawn(ours) == _drawn(theirs)


def _asked(session: Session) -> tuple[object, ...]:
    return (
        session.prompt,
        session.layers,
        session.dynamics,
        session.reference,
        session.precision,
        fingerprint(session.model),
    )


def has_asked_the_same(ours: Session, theirs: Session) -> bool:
    """Whether both ask the same of one model; choices that mean nothing in the patch's mode are not looked at."""
    pairs = [with_changes(session, recipe=canonical(session.recipe)) for session in (ours, theirs)]
    return _asked(ours) == _asked(theirs) and _drawn(pairs[0]) == _drawn(pairs[1])


def _drawn(session: Session) -> tuple[object, ...]:
    forced = session.generation.forced if session.generation else {}
    return (session.recipe, session.sampling, session.n_tokens, session.holdout, forced)


def _adds_no_text(before: Generation | None, now: Generation | None) -> bool:
    """Whether ``now`` has none that ``before`` has not, and fewer."""
    if before is None or now is None:
        return before is not None
    is_part = all(before.lanes.get(lane) == text for lane, text in now.lanes.items())
    return is_part and len(now.lanes) < len(before.lanes)


def loses_curves(before: Session, now: Session) -> bool:
    """Whether a varied patch would give way to one that was not varied."""
    if _adds_no_text(before.generation, now.generation):
        return False
    return _has_curves(before.generation) and not _has_curves(now.generation)


def _has_curves(generation: Generation | None) -> bool:
    return bool(generation and generation.patch and generation.patch.curves)


def joined_results(before: Session, now: Session) -> Session:
    """One run's results, the newer where there are both; its texts stay with the choices that they answer."""
    joined = with_changes(
        now,
        created=before.created,
        measurement=now.measurement or before.measurement,
        verification=now.verification or before.verification,
        compilation=now.compilation or before.compilation,
        exam=now.exam or before.exam,
        curves=now.curves or before.curves,
        heads=now.heads or before.heads,
        effects=now.effects or before.effects,
    )
    if _adds_no_text(before.generation, now.generation):
        return with_changes(
            joined,
            generation=before.generation,
            recipe=before.recipe,
            sampling=before.sampling,
            n_tokens=before.n_tokens,
            holdout=before.holdout,
        )
    return joined
