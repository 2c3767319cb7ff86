"""The sweep: every prompt on every model, through patches of every recipe asked for, with controls beside each.

Enters: prompts, models and the recipes' parts. Leaves: a :class:`~icltui.values.sweep.SweepRow` for each combination.
Prompts of one shape run in batches, with all recipes of a batch on one run with the context.
"""

import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import msgspec
from msgspec.structs import replace

from icltui import __version__
from icltui.api import run_to_result
from icltui.api.messages import Generate, LoadModel
from icltui.engine.local import LocalEngine
from icltui.engine.prompts.token_texts import as_tokens
from icltui.engine.trial.prompt import TrialPrompt, trial_prompt
from icltui.engine.trial.trial import trial
from icltui.experiment.experiment_folder import models_asked
from icltui.experiment.item_key import item_key
from icltui.studies.sweep_recipe import SweepRecipe, patches_of
from icltui.studies.sweep_summary import summarise_sweep
from icltui.values import ModelInfo
from icltui.values.errors import BadInput, IcltuiError
from icltui.values.prompt import Prompt, resolve_layers
from icltui.values.recipe import Sampling
from icltui.values.results import Summary
from icltui.values.sweep import SweepPrompt, SweepRow
from icltui.values.trial import TrialLayer, TrialPatch, TrialResult, TrialScore

_PROMPTS_PER_BATCH, _RECIPES_PER_BATCH = 32, 16
ValueT = TypeVar("ValueT")
EACH = "each"
"""The layers that mean every layer by itself."""


@dataclass(frozen=True)
class SweepItem:
    """One prompt and one recipe."""

    prompt: SweepPrompt
    recipe: SweepRecipe
    trial: TrialPrompt | None
    """The prompt in the model's terms; None where that cannot be."""
    error: str = ""
    """Why it cannot be."""
    batch: str = ""
    """The items that run together."""


@dataclass(frozen=True)
class Sweep:
    """Implements :class:`icltui.experiment.experiment.Experiment`."""

    prompts: tuple[SweepPrompt, ...]
    loads: tuple[LoadModel, ...] = (LoadModel(),)
    layers: tuple[str, ...] = ("all",)
    """Each as :func:`icltui.values.prompt.resolve_layers` reads it, or :data:`EACH`."""
    recipes: tuple[SweepRecipe, ...] = (SweepRecipe(),)
    """Without their layers."""
    n_tokens: int = 0
    """Tokens of text to generate in each lane; 0: none."""
    reading: Prompt = field(default_factory=Prompt)
    """How prompts are read; its texts do not count."""
    kind: ClassVar[str] = "sweep"
    row_type: ClassVar[type[SweepRow]] = SweepRow

    def asked(self) -> Mapping[str, object]:
        """See :meth:`.Experiment.asked`."""
        texts = msgspec.json.encode(self.prompts)
        return {
            "n_prompts": len(self.prompts),
            "prompts": hashlib.blake2b(texts, digest_size=16).hexdigest(),
            "models": models_asked(self.loads),
            "layers": list(self.layers),
            "recipes": msgspec.to_builtins(self.recipes),
            "tokens": self.n_tokens,
            "reading": {name: getattr(self.reading, name) for name in ("bos", "chat", "positions")},
        }

    def models(self) -> Sequence[LoadModel]:
        """See :meth:`.Experiment.models`."""
        return self.loads

    def items(self, engine: LocalEngine, model: ModelInfo) -> Sequence[tuple[str, SweepItem]]:
        """See :meth:`.Experiment.items`.

        Raises:
            BadInput: layers that the model does not have.
        """
        recipes = self._recipes(model)
        groups: dict[object, list[tuple[SweepPrompt, TrialPrompt | None, str]]] = {}
        for number, prompt in enumerate(self.prompts):
            ready, error = self._ready(engine, prompt)
            groups.setdefault(ready.shape if ready else number, []).append((prompt, ready, error))
        pieces = (
            (prompts, some)
            for group in groups.values()
            for prompts in _pieces(group, _PROMPTS_PER_BATCH)
            for some in _pieces(recipes, _RECIPES_PER_BATCH)
        )
        return [item for prompts, some in pieces for item in self._batch(model, prompts, some)]

    def run(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, SweepItem]]
    ) -> Iterator[Sequence[SweepRow]]:
        """See :meth:`.Experiment.run`."""
        for _, batch in itertools.groupby(items, key=lambda item: item[1].batch):
            begin, rows = time.perf_counter(), self._run_batch(engine, model, list(batch))
            seconds = (time.perf_counter() - begin) / len(rows)
            for row in rows:
                yield [replace(row, seconds=seconds) if row.error is None else row]

    def summarise(self, rows: Sequence[Mapping[str, object]]) -> Summary:
        """See :meth:`.Experiment.summarise`."""
        return summarise_sweep(rows)

    def _recipes(self, model: ModelInfo) -> list[SweepRecipe]:
        refused = {layer.layer: layer.reason for layer in model.refused}
        usable = [layer for layer in range(model.n_layers) if layer not in refused]
        texts = [text for one in self.layers for text in (map(str, usable) if one == EACH else [one])]
        for text in texts:
            if not resolve_layers(text, model.n_layers, refused):
                raise BadInput(f"layers {text!r} are no layer of {model.name!r}: choose at least one")
        return [replace(recipe, layers=text) for text in dict.fromkeys(texts) for recipe in self.recipes]

    def _ready(self, engine: LocalEngine, prompt: SweepPrompt) -> tuple[TrialPrompt | None, str]:
        assert engine.loaded is not None
        seed = int(digest_of(prompt), 16) >> 4
        try:
            typed = replace(self.reading, context=prompt.context, query=prompt.query)
            return trial_prompt(engine.loaded, typed, prompt.answer, seed), ""
        except IcltuiError as error:
            return None, " ".join(str(error).split())

    def _batch(
        self,
        model: ModelInfo,
        prompts: Sequence[tuple[SweepPrompt, TrialPrompt | None, str]],
        recipes: Sequence[SweepRecipe],
    ) -> list[tuple[str, SweepItem]]:
        keyed = [
            (
                item_key(self.kind, model, [self._asked_of(prompt, ready), recipe]),
                prompt,
                recipe,
                ready,
                error,
            )
            for prompt, ready, error in prompts
            for recipe in recipes
        ]
        batch = hashlib.blake2b("".join(key for key, *_ in keyed).encode(), digest_size=16).hexdigest()
        return [
            (key, SweepItem(prompt, recipe, ready, error, batch))
            for key, prompt, recipe, ready, error in keyed
        ]

    def _asked_of(self, prompt: SweepPrompt, ready: TrialPrompt | None) -> object:
        """What a prompt asks: its ids, or its text where it has none."""
        if ready is None:
            return [prompt.context, prompt.query, prompt.answer]
        return [ready.ids.record, ready.answer, ready.positions, ready.seed, self.n_tokens]

    def _run_batch(
        self, engine: LocalEngine, model: ModelInfo, items: Sequence[tuple[str, SweepItem]]
    ) -> list[SweepRow]:
        rows = [self._named(model, key, item) for key, item in items]
        prompts = {item.prompt.number: item.trial for _, item in items if item.trial is not None}
        if not prompts:
            return rows
        assert engine.loaded is not None
        wanted = [patches_of(item.recipe, self._layers(model, item.recipe)) for _, item in items]
        once = dict.fromkeys(patch for named in wanted for patch in named.values())
        patches = sorted(once, key=lambda patch: patch.seed)  # those of one shuffled context together
        found = trial(engine.loaded, list(prompts.values()), patches, n_noise_runs=1)
        results = {list(prompts)[result.index]: result for result in found}
        return [
            self._with_text(engine, item, self._scored(engine, model, row, item, results, named, patches))
            for row, (_, item), named in zip(rows, items, wanted, strict=True)
        ]

    def _layers(self, model: ModelInfo, recipe: SweepRecipe) -> tuple[int, ...]:
        refused = {layer.layer: layer.reason for layer in model.refused}
        return resolve_layers(recipe.layers, model.n_layers, refused)

    def _named(self, model: ModelInfo, key: str, item: SweepItem) -> SweepRow:
        """The row of what is asked, before any number."""
        prompt, recipe, ready = item.prompt, item.recipe, item.trial
        return SweepRow(
            key=key,
            error=item.error or None,
            model=model.name,
            revision=model.revision or "",
            fingerprint=model.fingerprint,
            dtype=model.dtype,
            version=__version__,
            prompt=prompt.number,
            digest=digest_of(prompt),
            context=prompt.context,
            query=prompt.query,
            answer=prompt.answer,
            tags=prompt.tags,
            layers=recipe.layers,
            mode=recipe.mode,
            components=recipe.components,
            alpha_asked=recipe.alpha_text,
            seed=recipe.seed,
            n_prefix=len(ready.ids.prefix) if ready else None,
            n_context=len(ready.ids.context) if ready else None,
            n_query=len(ready.ids.query) if ready else None,
            n_answer=len(ready.answer) if ready else None,
        )

    def _scored(
        self,
        engine: LocalEngine,
        model: ModelInfo,
        row: SweepRow,
        item: SweepItem,
        results: Mapping[int, TrialResult],
        named: Mapping[str, TrialPatch],
        patches: Sequence[TrialPatch],
    ) -> SweepRow:
        """The row with the numbers of its prompt's result."""
        result = results.get(item.prompt.number)
        if result is None or result.error is not None or result.context is None or result.plain is None:
            return replace(row, error=row.error or (result and result.error) or "the engine gave no result")
        scores = {name: result.patches[patches.index(patch)] for name, patch in named.items()}
        patched, layers = scores["patched"], self._layers(model, item.recipe)
        return replace(
            row,
            alpha=patched.alpha,
            layers_used=layers,
            **_sizes([layer for layer in result.layers if layer.layer in layers]),
            **_nexts(engine, result.context, result.plain, patched),
            top1_plain=result.plain.top1_equal,
            top1_patched=patched.top1_equal,
            answer_context=result.context.answer_log_p,
            answer_plain=result.plain.answer_log_p,
            answer_patched=patched.answer_log_p,
            kl_plain=result.plain.kl,
            mse_plain=result.plain.centred_mse,
            mse_patched=patched.centred_mse,
            noise_floor=result.noise_floor,
            **{f"kl_{name}": score.kl for name, score in scores.items()},
        )

    def _with_text(self, engine: LocalEngine, item: SweepItem, row: SweepRow) -> SweepRow:
        """The row with the text of its lanes, where text is asked for."""
        if not self.n_tokens or row.error is not None:
            return row
        request = Generate(
            prompt=replace(self.reading, context=item.prompt.context, query=item.prompt.query),
            layers=item.recipe.layers,
            recipe=replace(item.recipe.recipe, alpha=row.alpha or 0.0),
            sampling=Sampling(seed=item.recipe.seed),
            n_tokens=self.n_tokens,
        )
        try:
            made = run_to_result.generate(engine, request)
        except IcltuiError as error:
            return replace(row, error=" ".join(str(error).split()))
        return replace(
            row,
            text_context=made.lanes["context"].text,
            text_plain=made.lanes["plain"].text,
            text_patched=made.lanes["patched"].text,
            n_equal_plain=made.agreement["plain"].equal,
            n_equal_patched=made.agreement["patched"].equal,
        )


def _pieces(values: Sequence[ValueT], size: int) -> Iterator[Sequence[ValueT]]:
    return (values[begin : begin + size] for begin in range(0, len(values), size))


def digest_of(prompt: SweepPrompt) -> str:
    """16 hexadecimal digits of the prompt's texts."""
    texts = msgspec.json.encode([prompt.context, prompt.query, prompt.answer])
    return hashlib.blake2b(texts, digest_size=8).hexdigest()


def _nexts(
    engine: LocalEngine, context: TrialScore, plain: TrialScore, patched: TrialScore
) -> dict[str, str]:
    assert engine.loaded is not None
    tokens = as_tokens(engine.loaded.tokenizer, (context.top, plain.top, patched.top))
    names = ("next_context", "next_plain", "next_patched")
    return {name: token.text for name, token in zip(names, tokens, strict=True)}


def _sizes(layers: Sequence[TrialLayer]) -> dict[str, object]:
    """What the context changes at each layer, and at all together."""
    patch = [layer.patch_norm for layer in layers]
    weights = [
        layer.patch_norm / layer.relative_patch_norm
        if layer.patch_norm is not None and layer.relative_patch_norm
        else None
        for layer in layers
    ]
    size, whole = _root(patch), _root(weights)
    return {
        "delta_norms": tuple(layer.delta_norm for layer in layers),
        "shift_norms": tuple(layer.shift_norm for layer in layers),
        "patch_norms": tuple(patch),
        "relative_patch_norms": tuple(layer.relative_patch_norm for layer in layers),
        "learning_rates": tuple(layer.context_learning_rate for layer in layers),
        "delta_norm": _root([layer.delta_norm for layer in layers]),
        "shift_norm": _root([layer.shift_norm for layer in layers]),
        "relative_patch_norm": size / whole if size is not None and whole else None,
    }


def _root(norms: Sequence[float | None]) -> float | None:
    known = [norm for norm in norms if norm is not None]
    return sum(norm**2 for norm in known) ** 0.5 if len(known) == len(norms) else None
