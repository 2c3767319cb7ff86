"""A patch put to the test: on the tokens it was made from, on later ones, and on other queries.

Enters: a built patch. Leaves: :class:`~icltui.values.PatchTest` for each kind of tokens, and a verdict in words. A
fit on the first kind proves nothing, as the patch was fitted on it; the others show its worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from icltui.api.progress_callback import ProgressCallback, ignore_progress
from icltui.engine.hooks.attach import attach
from icltui.engine.measure.predictions import finite_or_none
from icltui.engine.patch.build import N_LATER, BuiltPatch, n_with_room
from icltui.engine.patch.calibration import Passage, PassageReader, logits_without_context
from icltui.engine.patch.decoding import TargetCapture, acting
from icltui.engine.patch.patch import HeldPatch, TokenPatch
from icltui.values import PatchTest, Tested


@dataclass(frozen=True)
class TokenSpan:
    """Some tokens of a passage: those before its logits [begin, end)."""

    passage: Passage
    begin: int
    end: int | None = None


def spans_by_kind(built: BuiltPatch, others: Sequence[Passage]) -> dict[Tested, list[TokenSpan]]:
    """The tokens that the patch is tested on, by kind; ``others``: passages of queries that it was not fitted on."""
    fitted = [TokenSpan(part.passage, 0, part.n_continuation + 1) for part in built.fitted]
    later = [TokenSpan(part.passage, part.n_continuation + 1) for part in built.fitted]
    if not built.fitted:  # per step: only the strength is fitted, on one token
        later = [TokenSpan(built.own, 1)]
    n = built.spec.n_fitted + 1
    kinds: dict[Tested, list[TokenSpan]] = {
        "fitted tokens": fitted,
        "later tokens": later,
        "other queries": [TokenSpan(passage, 0, n) for passage in others],
        "other queries, later": [TokenSpan(passage, n) for passage in others],
    }
    return {kind: kept for kind, parts in kinds.items() if (kept := [part for part in parts if _count(part)])}


def held_out_spans(parts: dict[Tested, list[TokenSpan]]) -> list[TokenSpan]:
    """The tokens that say most about a patch: other queries, if there are any, else the later text."""
    return parts.get("other queries") or parts.get("later tokens", [])


def unfitted_passages(built: BuiltPatch, on_progress: ProgressCallback = ignore_progress) -> list[Passage]:
    """Passages of the held-out queries and of the prompt's own, except those that were fitted."""
    spec, fitted = built.spec, fitted_queries(built)
    unseen = [ids for ids in spec.holdout if ids.query not in fitted]
    reader = PassageReader(spec.loaded, spec.sites, spec.positions, len(unseen))
    read = [] if built.own.ids.query in fitted or not spec.calibration else [built.own]
    for number, ids in enumerate(unseen):
        on_progress("reading the other queries", number, len(unseen))
        n = n_with_room(spec, ids, spec.n_fitted + N_LATER)
        read.append(reader.read(ids, n))
    return read


def fitted_queries(built: BuiltPatch) -> set[tuple[int, ...]]:
    """The queries that the patch, or its strength, was fitted on."""
    passages = [part.passage for part in built.fitted] or [built.own]
    return {passage.ids.query for passage in passages}


@dataclass(frozen=True)
class ScoreSums:
    """Sums over tokens of one kind."""

    n: int
    kl: float
    mse: float
    equal: int
    n_agreeing: int = 0
    """Passages at whose first token of that kind the most probable one is the contextual one."""


def centred(logits: Float[Tensor, "*rows vocabulary"]) -> Float[Tensor, "*rows vocabulary"]:
    """Logits less their mean, which a softmax does not depend on."""
    return logits - logits.mean(-1, keepdim=True)


def score(part: TokenSpan, logits: Float[Tensor, "tokens vocabulary"]) -> ScoreSums:
    """The score of ``logits`` of the whole passage against the contextual ones, at the part's tokens."""
    at = slice(part.begin, part.end)
    ours, theirs = logits[at], part.passage.logits[at].to(logits.device)
    log_q, log_p = ours.log_softmax(-1), theirs.log_softmax(-1)
    kl = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0).sum(-1).clamp_min(0)
    mse = (centred(ours) - centred(theirs)).square().mean(-1)
    equal = ours.argmax(-1) == theirs.argmax(-1)
    return ScoreSums(len(ours), float(kl.sum()), float(mse.sum()), int(equal.sum()), int(equal[:1].sum()))


def sum_scores(scores: Sequence[ScoreSums]) -> ScoreSums:
    """The sum of all scores."""
    return ScoreSums(
        sum(s.n for s in scores),
        sum(s.kl for s in scores),
        sum(s.mse for s in scores),
        sum(s.equal for s in scores),
        sum(s.n_agreeing for s in scores),
    )


Bare = tuple[ScoreSums, Float[Tensor, " layers"]]
"""The score of some tokens without a patch, and ‖z_C − z‖² there, of each layer."""


@dataclass
class TestTokens:
    """The tokens that a patch is tested on, and what they give without a patch, which no strength changes."""

    __test__ = False  # no class of pytest's

    parts: dict[Tested, list[TokenSpan]]
    _bare: dict[int, list[Bare]] = field(default_factory=dict)
    """Of each passage, in the order of :meth:`by_passage`."""

    def by_passage(self) -> list[tuple[Passage, list[tuple[Tested, TokenSpan]]]]:
        """Each passage with its tokens of every kind, so that it is run once."""
        found: dict[int, tuple[Passage, list[tuple[Tested, TokenSpan]]]] = {}
        for kind, parts in self.parts.items():
            for part in parts:
                found.setdefault(id(part.passage), (part.passage, []))[1].append((kind, part))
        return list(found.values())

    def bare(self, built: BuiltPatch, passage: Passage, parts: Sequence[TokenSpan]) -> list[Bare]:
        """What the ``parts`` of a passage give without a patch."""
        if id(passage) not in self._bare:
            logits, z = _run(built, passage, None)
            self._bare[id(passage)] = [(score(part, logits), _distance(part, z)) for part in parts]
        return self._bare[id(passage)]


def tokens_to_test(built: BuiltPatch, on_progress: ProgressCallback = ignore_progress) -> TestTokens:
    """The tokens that the patch is tested on; passages that it was not fitted on are read."""
    return TestTokens(spans_by_kind(built, unfitted_passages(built, on_progress)))


def evaluate_patch(
    built: BuiltPatch, tokens: TestTokens, on_progress: ProgressCallback = ignore_progress
) -> tuple[PatchTest, ...]:
    """A test of each kind of tokens."""
    patched: dict[Tested, list[ScoreSums]] = {kind: [] for kind in tokens.parts}
    bare: dict[Tested, list[ScoreSums]] = {kind: [] for kind in tokens.parts}
    squares: dict[Tested, list[tuple[Tensor, Tensor]]] = {kind: [] for kind in tokens.parts}
    passages = tokens.by_passage()
    for done, (passage, kept) in enumerate(passages):
        on_progress("testing the patch", done, len(passages))
        logits, z = _run(built, passage, built.acting_on(passage))
        without = tokens.bare(built, passage, [part for _, part in kept])
        for (kind, part), (theirs, gap) in zip(kept, without, strict=True):
            patched[kind].append(score(part, logits))
            bare[kind].append(theirs)
            squares[kind].append((_distance(part, z), gap))
    return tuple(_test(kind, patched[kind], bare[kind], squares[kind]) for kind in tokens.parts)


def _test(
    kind: Tested,
    patched: Sequence[ScoreSums],
    bare: Sequence[ScoreSums],
    squares: Sequence[tuple[Float[Tensor, " layers"], Float[Tensor, " layers"]]],
) -> PatchTest:
    """``squares``: ‖z_C − z‖² with the patch and without it, of each part."""
    ours, theirs = sum_scores(patched), sum_scores(bare)
    missed, gap = (torch.stack(each).sum(0) for each in zip(*squares, strict=True))
    return PatchTest(
        what=kind,
        n_tokens=ours.n,
        kl=finite_or_none(ours.kl / ours.n),
        kl_plain=finite_or_none(theirs.kl / ours.n),
        mse=finite_or_none(ours.mse / ours.n),
        mse_plain=finite_or_none(theirs.mse / ours.n),
        equal=ours.equal,
        equal_plain=theirs.equal,
        state_error=finite_or_none((missed / gap)[gap > 0].sqrt().mean()),
    )


NOTHING = 1e-5
"""KL in nats below which the context's effect counts as rounding."""
_PLACES: dict[Tested, str] = {
    "later tokens": "the later text",
    "other queries": "other queries",
    "other queries, later": "the later text behind other queries",
}


def verdict(tests: Sequence[PatchTest]) -> str:
    """One sentence on whether the patch serves on tokens that it was not made from."""
    sentences = [_sentence(test) for test in tests if test.what != "fitted tokens"]
    return f"The patch {'; it '.join(filter(None, sentences))}." if any(sentences) else ""


def _sentence(test: PatchTest) -> str:
    if test.kl is None or test.kl_plain is None:
        return ""
    on = f"{test.n_tokens} token{'s' if test.n_tokens > 1 else ''} of {_PLACES[test.what]}"
    against = f"KL {test.kl:.2g} against {test.kl_plain:.2g} without it"
    if test.kl_plain < NOTHING:
        return f"had nothing to win on {on} ({against})"
    gain = 1 - test.kl / test.kl_plain
    is_whole = gain > 0.9 and test.equal == test.n_tokens
    word = "carries over to" if is_whole else "helps in part on" if gain > 0.5 else "does not carry over to"
    return (
        f"{word} {on} ({against}; {test.equal} of {test.n_tokens} top tokens as with the context, "
        f"{test.equal_plain} without it)"
    )


def _count(part: TokenSpan) -> int:
    return len(part.passage.logits[part.begin : part.end])


def _run(
    built: BuiltPatch, passage: Passage, patch: HeldPatch | TokenPatch | None
) -> tuple[Float[Tensor, "tokens vocabulary"], Float[Tensor, "layers tokens hidden"]]:
    """Logits of the whole passage, and the MLP's inputs at its tokens, after the patch's map."""
    spec, last = built.spec, slice(-len(passage.logits), None)
    with acting(patch), attach(spec.sites, TargetCapture(last)) as seen:
        logits = logits_without_context(spec.loaded, passage)
    return logits, seen.targets(spec.sites).z.to(logits.device)


def _distance(part: TokenSpan, z: Float[Tensor, "layers tokens hidden"]) -> Float[Tensor, " layers"]:
    """‖z_C − z‖², summed over the part's tokens, of each layer."""
    wanted = part.passage.targets.z[:, len(part.passage.ids.query) - 1 :].to(z.device)
    return (wanted - z)[:, part.begin : part.end].double().square().sum((1, 2))
