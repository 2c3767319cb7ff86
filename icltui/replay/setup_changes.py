"""What has changed since a session was saved, in sentences: its prompt's tokens, the model, the packages."""

from icltui.values import Measurement, ModelInfo, Record
from icltui.values.prompt import unlike_and_why


def prompt_change(saved: Record, again: Record) -> str:
    """A sentence that says where the same text became other tokens; empty where it did not, or that is not known."""
    was, found = (
        record.tokens.ids if isinstance(record, Measurement) else getattr(record, "ids", None)
        for record in (saved, again)
    )
    parts = unlike_and_why(was, found) if was and found else ""
    return parts and f"the prompt is not the session's: {parts}"


def model_changes(saved: ModelInfo, now: ModelInfo) -> tuple[str, ...]:
    """Sentences on what differs between now and the time of saving."""
    places = {
        "the model": (saved.name, now.name),
        "revision": (saved.revision, now.revision),
        "sites": (saved.sites, now.sites),
    }
    notes = [f"{what}: {a} when it was saved, {b} now" for what, (a, b) in places.items() if a != b]
    if saved.dtype != now.dtype:
        notes.append(f"recorded in {saved.dtype}, recomputed in {now.dtype}")
    if saved.quantize != now.quantize:
        notes.append(f"recorded with quantize {saved.quantize}, recomputed with {now.quantize}")
    if saved.device != now.device:
        notes.append(f"recorded on {saved.device}, recomputed on {now.device}")
    for package in sorted(saved.versions.keys() | now.versions.keys()):
        a, b = (versions.get(package, "unknown") for versions in (saved.versions, now.versions))
        if a != b:
            notes.append(f"{package} {a} when it was saved, {b} now")
    return tuple(notes)
