"""A run in few words: what differs from the run that it came of, its numbers, and what its patch said first."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from icltui.tui.state.staleness import short_name
from icltui.values import Run, Session
from icltui.values.recipe import canonical

_PARTS = {"both": "ΔW and Δb", "weights": "ΔW alone", "shift": "Δb alone"}
_NAMES = {
    "alpha": "α",
    "layer_alphas": "α by layer",
    "n_fitted": "fit",
    "cross_fit": "cross-fit",
    "top_k": "top-k",
    "top_p": "top-p",
    "n_tokens": "tokens",
    "bos": "special",
}
"""Names of fields that are not the fields' own."""
_BARE = ("mode", "components", "dynamics", "reference", "carrier", "positions")
"""Fields whose values say by themselves which field they are of."""
TEXTS = ("context", "query", "other_context")
"""Fields of running text."""
_LISTS = ("queries", "holdout")
_LEAD, _SNIPPET = 12, 32
"""Characters before the first that differs, so that no word is cut; and characters in all."""


def changes(before: Session, now: Session) -> tuple[str, ...]:
    """What was asked otherwise, each in words such as ``α 1 → 0.5``; empty where nothing was.

    Choices that mean nothing in the patch's mode are not compared.
    """
    return tuple(_words(name, old, new) for name, old, new in _fields(before, now) if old != new)


def changed_fields(before: Session, now: Session) -> tuple[str, ...]:
    """The names of the fields of which :func:`changes` tells."""
    return tuple(name for name, old, new in _fields(before, now) if old != new)


def value_of(session: Session, field: str) -> str:
    """The value of a field that :func:`changed_fields` names."""
    return next((_value(name, value) for name, value, _ in _fields(session, session) if name == field), "")


def title_of(run: Run, parent: Run | None) -> str:
    """What tells the run from its parent; of a run without one, the beginning of its text."""
    if parent is None:
        prompt = run.session.prompt
        return " ".join((prompt.context.strip() or prompt.query.strip())[:400].split())
    return " · ".join(changes(parent.session, run.session)) or "the same again"


def _words(name: str, old: Any, new: Any) -> str:
    if name in TEXTS:
        return f"{name.replace('_', ' ')} {_first_difference(old, new)}"
    if name in _LISTS:
        what = "to fit" if name == "queries" else "held out"
        return f"queries {what} {len(old)} → {len(new)}" if len(old) != len(new) else f"other queries {what}"
    if name == "branch" and new != "none":
        return f"branch of {new}"
    if name == "chat":
        return f"chat {'on' if new else 'off'}"
    label = "" if name in _BARE else f"{_NAMES.get(name, name.replace('_', ' '))} "
    return f"{label}{_value(name, old)} → {_value(name, new)}"


def _first_difference(old: str, new: str) -> str:
    """The new text from the word on at which it leaves the old one."""
    at = next((i for i, (a, b) in enumerate(zip_longest(old, new)) if a != b), 0)
    if at >= len(new):  # the old one goes on
        return f"cut after “{' '.join(new[-_LEAD:].split())}”" if new.strip() else "taken away"
    begin = max(new.rfind(" ", max(at - _LEAD, 0), at), new.rfind("\n", max(at - _LEAD, 0), at)) + 1
    begin = begin or max(at - _LEAD, 0)
    words = " ".join(new[begin : begin + 2 * _SNIPPET].split())
    cut = words if len(words) <= _SNIPPET else words[:_SNIPPET] + "…"
    return f"→ {'…' if begin else ''}{cut}"


def _value(name: str, value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case "" if name == "layer_alphas":
            return "all 1"
        case tuple():
            return str(len(value))
    if name == "components":
        return _PARTS[value]
    return short_name(value) if name == "model" else str(value)


def _fields(before: Session, now: Session) -> Iterator[tuple[str, Any, Any]]:
    """Each choice of both, the prompt's texts first."""
    yield from _of_both(before.prompt, now.prompt)
    yield "layers", before.layers, now.layers
    yield from _of_both(canonical(before.recipe), canonical(now.recipe))
    for name in ("dynamics", "reference", "precision"):
        yield name, getattr(before, name), getattr(now, name)
    yield from _of_both(before.sampling, now.sampling)
    yield "n_tokens", before.n_tokens, now.n_tokens
    yield "holdout", before.holdout, now.holdout
    yield "branch", _branch(before), _branch(now)
    if before.model and now.model and before.model.fingerprint != now.model.fingerprint:
        yield "model", before.model.name, now.model.name


def _branch(session: Session) -> str:
    """Which lanes were made to begin otherwise, and with how many tokens."""
    forced = session.generation.forced if session.generation else {}
    return ", ".join(f"{lane} at token {len(tokens)}" for lane, tokens in forced.items()) or "none"


def _of_both(before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    return ((name, getattr(before, name), getattr(now, name)) for name in now.__struct_fields__)


@dataclass(frozen=True)
class RunNumbers:
    """What came of a run, in numbers; None where it is not known."""

    kl: float | None = None
    """KL(with context ‖ patched) in nats after the query."""
    kl_plain: float | None = None
    """KL(with context ‖ no patch) there."""
    kl_text: float | None = None
    """Mean of that KL along the patched lane's own text."""
    kl_others: float | None = None
    """Mean KL on tokens that the patch was not made from: other queries, else the later text."""
    n_equal: int = 0
    """Tokens of the patched lane that are those of the contextual one."""
    n_tokens: int = 0

    @classmethod
    def of(cls, session: Session) -> "RunNumbers":
        """The numbers of the run whose session this is."""
        if (generation := session.generation) is None:
            return cls()
        fit, equal = generation.fit, generation.agreement.get("patched")
        patched, plain = fit.get("patched"), fit.get("plain")
        tests = generation.patch.tests if generation.patch else ()
        lane = generation.lanes.get("patched")
        along = (
            [step.kl_on_own_text for step in lane.steps if step.kl_on_own_text is not None] if lane else []
        )
        others = {test.what: test.kl for test in tests}
        return cls(
            kl=patched.kl if patched else None,
            kl_plain=plain.kl if plain else None,
            kl_text=sum(along) / len(along) if along else None,
            kl_others=others.get("other queries", others.get("later tokens")),
            n_equal=equal.equal if equal else 0,
            n_tokens=equal.total if equal else 0,
        )


def first_words(session: Session) -> str:
    """What the patched lane says; without one, what the model says with the context; empty where neither was run."""
    lanes = session.generation.lanes if session.generation else {}
    lane = lanes.get("patched") or lanes.get("context")
    return lane.text if lane else ""


def searched_text(run: Run, title: str) -> str:
    """All of a run that a search looks at, in lower case: its words, note, prompt and texts."""
    session = run.session
    texts = (lane.text for lane in session.generation.lanes.values()) if session.generation else ()
    parts = (title, run.note, session.prompt.context, session.prompt.query, *texts)
    return "\n".join(parts).lower()
