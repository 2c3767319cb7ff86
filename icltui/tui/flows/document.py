"""The session that is on the screen: where it came from, what it is called, and how it becomes a file again."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from icltui.record import ModelInfo
from icltui.session import Session, is_example
from icltui.tui.flows.results import Results
from icltui.tui.flows.work import Work

UNTITLED = "untitled"


@dataclass(frozen=True, kw_only=True)
class Document:
    """The file's side of a session; its numbers live in ``Results``, its choices in ``Work``."""

    title: str = UNTITLED
    path: Path | None = None
    """The file it was read from or written to."""
    created: str = ""


def document_of(session: Session, path: Path | None) -> Document:
    """The file's side of ``session``."""
    title = session.title or (path.stem if path else UNTITLED)
    return Document(title=title, path=path, created=session.created)


def work_of(session: Session, path: Path | None) -> Work:
    """The choices that ``session`` was saved with.

    ΔW is on where its lane was saved, but not in an example: there the user is to see what turning it on does.
    """
    is_patched = session.generation is not None and "patched" in session.generation.lanes
    work = Work(
        prompt=session.prompt,
        layers=session.layers,
        mode=session.mode,
        components=session.components,
        n_tokens=session.n_tokens,
        is_delta_on=is_patched and not (path and is_example(path)),
    )
    return work.fitted(session.model.n_layers) if session.model else work


def session_of(document: Document, work: Work, results: Results, model: ModelInfo | None) -> Session:
    """The whole session, with those numbers only that belong to the prompt as it stands."""
    lanes = results.generation.lanes if results.generation else {}
    is_text_fresh = all(results.is_lane_fresh(lane, work) for lane in lanes)
    return Session(
        title=document.title,
        created=document.created or datetime.now(UTC).isoformat(timespec="seconds"),
        prompt=work.prompt,
        layers=work.layers,
        mode=work.mode,
        components=work.components,
        n_tokens=work.n_tokens,
        model=model,
        measurement=results.measurement if results.is_numbers_fresh(work) else None,
        generation=results.generation if is_text_fresh else None,
        verification=results.verification if results.is_proof_fresh(work) else None,
    )
