"""A session's file of an older format, in today's words: what it recorded gives the same numbers when it is run again.

Enters: the file's JSON, not validated yet. Leaves: the same object, changed in place.
"""

from collections.abc import Iterator
from typing import Any

from icltui.values import FORMAT


def migrate(document: dict[str, Any]) -> None:
    """Bring ``document``, whose format is known to be a number, to the present format, its runs included."""
    if document["format"] < 3:
        _gather_recipe(document)
    written = document["format"]
    for session in (document, *_sessions_of_runs(document)):
        if written < 5:
            _say_never(session)
            _name_kept(session)
        if session.get("format") == written:
            session["format"] = FORMAT


def _gather_recipe(document: dict[str, Any]) -> None:
    """Formats 1 and 2 had ``mode`` and ``components`` where a recipe is now; before 4 there was no history."""
    for holder in (document, document.get("generation")):
        if isinstance(holder, dict):
            moved = {name: holder.pop(name) for name in ("mode", "components") if name in holder}
            if moved:
                holder["recipe"] = moved


def _sessions_of_runs(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    runs = document.get("runs")
    for run in runs if isinstance(runs, list) else []:
        if isinstance(run, dict) and isinstance(run.get("session"), dict):
            yield run["session"]


def _say_never(session: dict[str, Any]) -> None:
    """Before format 5, ``auto`` kept nothing where the tokenizer puts nothing, which is what ``never`` says."""
    prompt = session.get("prompt")
    if not isinstance(prompt, dict) or prompt.get("chat") or prompt.get("bos", "auto") != "auto":
        return
    measurement, generation, verification = (
        found if isinstance(found := session.get(name), dict) else {}
        for name in ("measurement", "generation", "verification")
    )
    records = (measurement.get("tokens"), generation.get("ids"), verification.get("ids"))
    if any(isinstance(record, dict) and record.get("prefix") == [] for record in records):
        prompt["bos"] = "never"


def _name_kept(session: dict[str, Any]) -> None:
    """Before format 5 the kept tokens' texts were in the measurement alone, their ids in each record."""
    measurement = session.get("measurement")
    tokens = measurement.get("tokens") if isinstance(measurement, dict) else None
    kept = tokens.get("prefix") if isinstance(tokens, dict) else None
    if not isinstance(kept, list) or not all(isinstance(token, dict) for token in kept):
        return
    for record in (session.get("generation"), session.get("verification")):
        if not isinstance(record, dict) or not isinstance(ids := record.get("ids"), dict):
            continue
        if ids.get("prefix") == [token.get("id") for token in kept]:
            record["kept_prefix"] = kept
