"""A result that a session and its runs have in common is in the file once: the others say whose it is.

A run's JSON then has ``same``: the names of such results, each with the number of the run that holds it; 0 is the
session itself. In memory both have the same object.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from icltui.values import Run, Session
from icltui.values.errors import SessionError

SAME = "same"
_ITSELF = 0
"""The number that stands for the session itself; runs are numbered from 1."""
_SHARED = tuple(
    field.name for field in msgspec.structs.fields(Session) if field.default is None and field.name != "run"
)
"""The model and every result: what a session may do without."""

Sources = Mapping[int, Mapping[str, int]]
"""For each run that shares: the results by name, and whose they are."""


def written_once(session: Session) -> Any:
    """The session as plain values, each result of its runs once."""
    runs = list(session.runs)
    sources = {run.number: found for run, found in zip(runs, _sources(session), strict=True)}
    bare = [
        msgspec.structs.replace(
            run, session=msgspec.structs.replace(run.session, **dict.fromkeys(sources[run.number]))
        )
        for run in runs
    ]
    document = msgspec.to_builtins(msgspec.structs.replace(session, runs=tuple(bare)))
    document["runs"] = [_with_sources(run, sources[run["number"]]) for run in document["runs"]]
    return document


def _with_sources(run: dict[str, Any], sources: Mapping[str, int]) -> dict[str, Any]:
    """The run without what is elsewhere; its session stays last, since it is long."""
    if not sources:
        return run
    session = {name: value for name, value in run["session"].items() if name not in sources}
    return {**run, SAME: dict(sources), "session": session}


def _sources(session: Session) -> Iterator[dict[str, int]]:
    """For each run, whose results are also its own; it is compared with the session and the last run before."""
    newest = {name: (_ITSELF, getattr(session, name)) for name in _SHARED}
    for run in session.runs:
        found = {}
        for name in _SHARED:
            if (value := getattr(run.session, name)) is None:
                continue
            holders = ((_ITSELF, getattr(session, name)), newest[name])
            holder = next((number for number, held in holders if held is value or held == value), None)
            if holder is None:
                newest[name] = run.number, value
            else:
                found[name] = holder
        yield found


def take_sources(document: dict[str, Any]) -> Sources:
    """What the runs of a file's JSON share, taken out of it.

    Raises:
        SessionError: a run shares what a run before it does not hold, or has itself.
    """
    found: dict[int, Mapping[str, int]] = {}
    runs = document.get("runs")
    for run in runs if isinstance(runs, list) else []:
        if isinstance(run, dict) and SAME in run:
            same, number = run.pop(SAME), run.get("number")
            session = run.get("session")
            if not isinstance(session, dict) or type(number) is not int or not _is_right(same, session):
                raise SessionError(f'is damaged: "{SAME}" of run {ascii(number)[:20]} names no results')
            found[number] = same
    return found


def _is_right(same: Any, session: Mapping[str, Any]) -> bool:
    return isinstance(same, dict) and all(
        name in _SHARED and type(holder) is int and name not in session for name, holder in same.items()
    )


def joined(session: Session, sources: Sources) -> Session:
    """The session with what its runs share.

    Raises:
        SessionError: a run takes a result from one that has none, or that does not come before it.
    """
    if not sources:
        return session
    held: dict[int, Session] = {_ITSELF: session}
    runs: list[Run] = []
    for run in session.runs:
        taken = {
            name: _taken(held, holder, name, run.number)
            for name, holder in sources.get(run.number, {}).items()
        }
        full = msgspec.structs.replace(run, session=msgspec.structs.replace(run.session, **taken))
        held.setdefault(run.number, full.session)
        runs.append(full)
    return msgspec.structs.replace(session, runs=tuple(runs))


def _taken(held: Mapping[int, Session], holder: int, name: str, number: int) -> Any:
    value = getattr(held[holder], name) if holder in held else None
    if value is None:
        raise SessionError(f"is damaged: run {number} has the {name} of run {holder}, which holds none")
    return value
