"""Study *deliberation*: several opinions in sequence, what each adds to the update, and which of them wins.

A dispute's two options A and B are stated by different speakers. δ is z with the context less z without it, at the
query's last token. Beside the pair AB are a second voice for A, an unrelated sentence U, and B's tokens shuffled, S.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from msgspec.structs import replace

from icltui.engine.contexts.context_sets import ContextPair, ContextSet, combine_contexts
from icltui.engine.contexts.differences import PairNumbers
from icltui.engine.local import LocalEngine
from icltui.engine.models.loaded_model import LoadedModel
from icltui.engine.prompts.tokenize import Ids, tokenize
from icltui.engine.trial.prompt import trial_prompt
from icltui.experiment.item_key import item_key
from icltui.studies.deliberation_summary import summarise_deliberation
from icltui.studies.study import Plain, StudyBase, StudyRow, prompts_for, rows_of_each
from icltui.tasks.opinions import Dispute, disputes
from icltui.values import ModelInfo
from icltui.values.bounds import LayerIndex
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt
from icltui.values.results import Summary

PAIRS = {
    "opposed": ("A1", "B1"),
    "agreeing": ("A1", "A2"),
    "unrelated": ("A1", "U"),
    "shuffled": ("A1", "S"),
}
"""What is put together, by the name of the pair."""
CHAIN = ("A1", "B1", "A2", "B2", "A3", "B3")
"""Opinions that take turns."""
VOTES = (("A1", "A2", "B1"), ("B1", "A1", "A2"))
"""Two voices against one: the one comes last, or first; in the chain's third step it is between them."""
Layers = tuple[float | None, ...]


class DeliberationRow(StudyRow, frozen=True):
    """One context of a dispute, or one pair of contexts; tuples have a number for each layer."""

    topic: str = ""
    first: str = ""
    """The option A."""
    second: str = ""
    """The option B."""
    pair: str = ""
    """The pair's name; empty in a context's row."""
    sequence: str = ""
    """The context's parts in order, such as ``A1 B1``; of a pair: the one of both."""
    log_p_first: float | None = None
    """Log-probability of A after the sequence, in nats."""
    log_p_second: float | None = None
    """The same of B."""
    layers: tuple[LayerIndex, ...] = ()
    """The layers of the tuples below."""
    step: Layers = ()
    """‖δ − δ of one opinion less‖, of the chain's contexts."""
    norm_first: Layers = ()
    """Of a pair XY: ‖δ(X)‖."""
    norm_second: Layers = ()
    """‖δ(Y)‖."""
    norm_both: Layers = ()
    """‖δ(XY)‖."""
    interaction: Layers = ()
    """‖δ(XY) − δ(X) − δ(Y)‖ / ‖δ(XY)‖."""
    order: Layers = ()
    """‖δ(XY) − δ(YX)‖ / ‖δ(XY)‖."""
    null_interaction: Layers = ()
    """The same of orthogonal vectors of these norms."""
    null_order: Layers = ()
    """The same of orthogonal vectors of these norms."""
    weight_first: Layers = ()
    """a of the least ‖δ(XY) − a δ(X) − b δ(Y)‖."""
    weight_second: Layers = ()
    """b of it."""
    remainder: Layers = ()
    """That least norm over ‖δ(XY)‖."""
    noise: Layers = ()
    """‖z′ − z‖ / ‖δ‖ of two right runs of the longest context."""


@dataclass(frozen=True)
class DisputeItem:
    """One dispute, and the seed of its shuffling."""

    number: int
    dispute: Dispute
    seed: int


class Deliberation(StudyBase):
    """See the module."""

    kind = "deliberation"
    usual_n = 48
    row_type = DeliberationRow
    shows_not = (
        "An interaction of 1 does not show that opinions are weighed: averaging two updates gives it as well.",
        "No reasoning is generated between opinions: one forward pass reads them all.",
        "Speakers are names in a template; whether a model trusts real ones is not asked.",
        "δ is that of the query's last token alone.",
    )

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, DisputeItem]]:  # noqa: ARG002
        """One item for each dispute."""
        seed = self.settings.seed
        found = [
            DisputeItem(number, dispute, seed)
            for number, dispute in enumerate(disputes(prompts_for(model), self.n, seed))
        ]
        return [(item_key(self.kind, model, asdict(item)), item) for item in found]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, DisputeItem]]
    ) -> Iterator[Sequence[DeliberationRow]]:
        """A row for each context and each pair of a dispute."""
        assert engine.loaded is not None, "the engine holds the model whose items these are"
        loaded = engine.loaded
        return rows_of_each(DeliberationRow, model, items, lambda item: _rows(loaded, item))

    def add_up(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """Pairs beside their nulls, the steps of the chain, and who wins."""
        plain: Sequence[Plain] = rows
        return self.summary(plain, *summarise_deliberation(plain, self.settings.seed))


def sequences() -> list[tuple[str, ...]]:
    """All contexts, each once."""
    found = [tuple(CHAIN[: k + 1]) for k in range(len(CHAIN))]
    for one, other in PAIRS.values():
        found += [(one,), (other,), (one, other), (other, one)]
    return list(dict.fromkeys([*found, *VOTES]))


def _rows(loaded: LoadedModel, item: DisputeItem) -> list[DeliberationRow]:
    names, one = sequences(), item.dispute
    at = {name: index for index, name in enumerate(names)}
    first, parts = _parts(loaded, item)
    found = combine_contexts(
        loaded,
        [
            ContextSet(
                prefix=first.prefix,
                query=first.query,
                contexts=tuple(tuple(token for part in name for token in parts[part]) for name in names),
                answers=tuple(
                    trial_prompt(loaded, Prompt(query=one.query), answer).answer
                    for answer in (one.first, one.second)
                ),
                pairs=tuple(ContextPair(at[x,], at[y,], at[x, y], at[y, x]) for x, y in PAIRS.values()),
                chain=tuple(at[tuple(CHAIN[: k + 1])] for k in range(len(CHAIN))),
            )
        ],
    )[0]
    row = DeliberationRow(
        key="",
        number=item.number,
        topic=one.topic,
        first=one.first,
        second=one.second,
        layers=tuple(site.layer for site in loaded.sites),
    )
    steps = dict(zip(range(1, len(CHAIN) + 1), found.steps, strict=True))
    rows = [
        replace(
            row,
            sequence=" ".join(name),
            log_p_first=log_p[0],
            log_p_second=log_p[1],
            step=steps[len(name)] if name and name == CHAIN[: len(name)] else (),
        )
        for name, log_p in zip([(), *names], found.log_p, strict=True)
    ]
    return rows + [
        replace(row, pair=name, sequence=" ".join(both), noise=found.noise, **_columns(numbers))
        for (name, both), numbers in zip(PAIRS.items(), found.pairs, strict=True)
    ]


def _columns(pair: PairNumbers) -> dict[str, Layers]:
    norms = {"norm_first": pair.first, "norm_second": pair.second, "norm_both": pair.both}
    ratios = ("interaction", "order", "null_interaction", "null_order")
    weights = ("weight_first", "weight_second", "remainder")
    return norms | {name: getattr(pair, name) for name in (*ratios, *weights)}


def _parts(loaded: LoadedModel, item: DisputeItem) -> tuple[Ids, dict[str, tuple[int, ...]]]:
    """The ids of a row, and those of each part of a context by its name.

    Raises:
        BadInput: a tokenizer that makes other tokens of the query after a line than after another one.
    """
    one = item.dispute
    texts = {f"A{k + 1}": line for k, line in enumerate(one.first_lines)}
    texts |= {f"B{k + 1}": line for k, line in enumerate(one.second_lines)}
    texts["U"] = one.unrelated
    rows = {name: tokenize(loaded, Prompt(context=text, query=one.query))[0] for name, text in texts.items()}
    first = rows["A1"]
    if any((row.prefix, row.query) != (first.prefix, first.query) for row in rows.values()):
        raise BadInput(f"the query {one.query!r} has other tokens after other lines: use another tokenizer")
    parts = {name: row.context for name, row in rows.items()}
    chance = random.Random(f"shuffled {item.seed} {item.number}")
    return first, parts | {"S": tuple(chance.sample(parts["B1"], len(parts["B1"])))}
