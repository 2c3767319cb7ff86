"""The prompt and the choices on the screen, frozen, and the requests that are made of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    Compile,
    CountTokens,
    Examine,
    Export,
    Generate,
    Measure,
    MeasureCurves,
    MeasureEffects,
    MeasureHeads,
    Request,
    Verify,
)
from icltui.api.option import Option
from icltui.api.option_table import option_of
from icltui.values import (
    LANES,
    Calibrate,
    Compilation,
    Dynamics,
    ExportFormat,
    Lane,
    ModelInfo,
    Path,
    Precision,
    Reference,
)
from icltui.values.errors import BadInput
from icltui.values.prompt import Prompt, layers_text, resolve_layers
from icltui.values.recipe import (
    COMPILED,
    Recipe,
    Sampling,
    canonical,
    stepped,
    strengths_of,
    strengths_text,
)
from icltui.values.recipe import patch_words as words_of

Choice = Literal["mode", "components", "carrier", "dynamics", "reference", "positions", "chat"]
"""The choices that one key each steps through, round and round."""
PATCH_CHOICES: tuple[Choice, ...] = ("mode", "components", "carrier")
"""The choices that only the patched lane depends on."""
KEPT = ("queries", "n_fitted", "carrier", "background", "seed")
"""The recipe's fields that a compilation takes as they are, as a rank that is given; the others it chooses."""
_PARTS = {Prompt: "prompt", Recipe: "recipe", Sampling: "sampling"}
"""The field that holds each struct of options; other options are fields themselves."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A prompt with its choices; two equal ones ask for the same numbers."""

    prompt: Prompt = field(default_factory=Prompt)
    layers: str = "all"
    """In the words of ``--layers``; canonical once the model is known."""
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    precision: Precision = "model"
    recipe: Recipe = field(default_factory=Recipe)
    """How the patch is made."""
    sampling: Sampling = field(default_factory=Sampling)
    holdout: tuple[str, ...] = ()
    n_tokens: int = 12
    is_delta_on: bool = False
    """Whether the third lane runs."""
    forced: Mapping[Lane, tuple[int, ...]] = field(default_factory=dict, hash=False)
    """The tokens that a lane is made to begin with."""

    @property
    def patch_words(self) -> str:
        """How the patch acts, for a person."""
        return words_of(self.recipe)

    def count(self) -> CountTokens:
        """The request that only tokenises."""
        return CountTokens(prompt=self.prompt)

    def measure(self) -> Measure:
        """The request that fills table, plots and heatmap."""
        return Measure(**self.choices(Measure))

    def generate(self) -> Generate:
        """The request that fills the lanes: three of them with ΔW on, else the first two."""
        choices = self.choices(Generate) | {"recipe": canonical(self.recipe)}
        return Generate(**choices, lanes=LANES if self.is_delta_on else LANES[:2])

    def vary(self) -> Generate:
        """The request that fills the lanes and varies the patch."""
        return with_changes(self.generate(), lanes=LANES, curves=True)

    def verify(self) -> Verify:
        """The request that proves the patch."""
        return Verify(**self.choices(Verify))

    def compile(self) -> Compile:
        """The request that makes one patch of the context."""
        pinned = ("rank",) if self.recipe.rank else ()
        kept = {name: getattr(self.recipe, name) for name in (*KEPT, *pinned)}
        calibrate: Calibrate = "user" if self.recipe.queries else "self"
        choices = self.choices(Compile) | {"recipe": with_changes(COMPILED, **kept)}
        return Compile(**choices, calibrate=calibrate, pinned=pinned)

    def examine(self) -> Examine:
        """The request that puts every patch of the context to one test."""
        recipe = canonical(with_changes(self.recipe, mode="compiled", control="none", layer_alphas=""))
        return Examine(**self.choices(Examine) | {"recipe": recipe})

    def measure_curves(self, own_texts: int = 0) -> MeasureCurves:
        """The request for the loss at each position, beside so many texts that the model writes itself."""
        return MeasureCurves(prompt=self.prompt, own_texts=own_texts, seed=self.recipe.seed)

    def measure_heads(self) -> MeasureHeads:
        """The request that scores the heads, and splits δ in the ticked layers."""
        return MeasureHeads(prompt=self.prompt, layers=self.layers, seed=self.recipe.seed)

    def measure_effects(self) -> MeasureEffects:
        """The request for what each ticked layer's patch does alone, of the context up to each unit."""
        return MeasureEffects(prompt=self.prompt, layers=self.layers, seed=self.recipe.seed)

    def patched_by(self, made: Compilation, model: ModelInfo | None) -> "RunSettings":
        """These settings with the patch that a compilation chose."""
        n_layers = model.n_layers if model else max(made.chosen.layers, default=-1) + 1
        ticked = self.ticked(made.chosen.layers, n_layers, refused_by(model))
        return replace(ticked, recipe=made.recipe)

    def export(self, form: ExportFormat, path: str) -> Export:
        """The request that writes the patch; one per step cannot leave, so that of the query's last token does."""
        recipe = self.recipe
        held = with_changes(recipe, mode="frozen") if recipe.mode == "per-step" else recipe
        choices = self.choices(Export) | {"recipe": canonical(held)}
        return Export(**choices, format=form, path=path)

    def choices(self, kind: type[Struct]) -> dict[str, Any]:
        """The choices that a request or a session of this kind holds, by name."""
        return {name: getattr(self, name) for name in kind.__struct_fields__ if name in CHOICES}

    def renew(self, request: Request) -> Request:
        """A request that waits, in the words of these settings."""
        match request:
            case Measure():
                return self.measure()
            case Generate():
                return with_changes(self.generate(), curves=request.curves and self.is_delta_on)
            case Verify():
                return self.verify()
        return request

    def asking(self, request: Request) -> "RunSettings":
        """These settings with the choices of ``request``: what was asked, where the user has gone on since."""
        if not isinstance(request, Measure | Generate | Verify):
            return self
        asked = replace(self, **choices_in(request))
        is_same = isinstance(request, Generate) and canonical(self.recipe) == canonical(request.recipe)
        return replace(asked, recipe=self.recipe) if is_same else asked

    def chosen(self, n_layers: int, refused: Mapping[int, str]) -> tuple[int, ...]:
        """The ticked layers of ``n_layers``; all that are not refused where the text does not fit this model."""
        try:
            return resolve_layers(self.layers, n_layers, refused)
        except BadInput:
            return resolve_layers("all", n_layers, refused)

    def ticked(self, layers: Iterable[int], n_layers: int, refused: Mapping[int, str]) -> "RunSettings":
        """These settings on exactly these layers, none of them refused, in canonical words."""
        chosen = tuple(sorted(layers))
        is_all = chosen == resolve_layers("all", n_layers, refused) and n_layers > 0
        return replace(self, layers="all" if is_all else layers_text(chosen, n_layers))

    def fitted(self, model: ModelInfo) -> "RunSettings":
        """These settings with its layers in canonical words for ``model``."""
        refused = refused_by(model)
        return self.ticked(self.chosen(model.n_layers, refused), model.n_layers, refused)

    @staticmethod
    def has(option: Option) -> bool:
        """Whether these settings have the option."""
        return option.of[0] in _PARTS or option.field in CHOICES

    def value_of(self, option: Option) -> Any:
        """The value of ``option`` in these settings."""
        part = _PARTS.get(option.of[0])
        return getattr(self if part is None else getattr(self, part), option.field)

    def with_value(self, option: Option, value: object) -> "RunSettings":
        """These settings with ``value`` in every part that has the option's field."""
        changes: dict[str, Any] = {option.field: value}
        parts = {
            part: with_changes(getattr(self, part), **changes)
            for struct, part in _PARTS.items()
            if struct in option.of
        }
        return replace(self, **(parts or changes))

    def with_layer_alpha(self, layer: int, step: float) -> "RunSettings":
        """Another strength of one layer by ``step``, within its bounds."""
        strengths = strengths_of(self.recipe.layer_alphas)
        strengths[layer] = stepped(strengths.get(layer, 1.0), step)
        return self.with_value(option_of("layer_alphas"), strengths_text(strengths))

    def branched(self, lane: Lane, tokens: tuple[int, ...]) -> "RunSettings":
        """These settings with a lane that begins with ``tokens``."""
        return replace(self, forced={**self.forced, lane: tokens})

    def with_next(self, choice: Choice) -> "RunSettings":
        """These settings with the next value of one choice, the first after the last."""
        option = option_of(choice)
        values = option.choices or (False, True)
        return self.with_value(option, values[(values.index(self.value_of(option)) + 1) % len(values)])

    def with_alpha(self, step: float, found: float | None) -> "RunSettings":
        """Another strength by ``step``, within its bounds; from the ``found`` one where it is searched for."""
        alpha = self.recipe.alpha
        start = (1.0 if found is None else found) if isinstance(alpha, str) else alpha
        return self.with_value(option_of("alpha"), stepped(start, step))


CHOICES = frozenset(field.name for field in fields(RunSettings))


def choices_in(record: Struct) -> dict[str, Any]:
    """The choices that a request or a session holds, by name."""
    return {name: getattr(record, name) for name in record.__struct_fields__ if name in CHOICES}


def refused_by(model: ModelInfo | None) -> dict[int, str]:
    """The layers that cannot be used, with the reason."""
    return {refused.layer: refused.reason for refused in model.refused} if model else {}


def method_words(request: Measure, path: Path | None = None) -> str:
    """How the context was, or will be, taken away: ``grow · free · reset · packed``."""
    prompt = request.prompt
    chat = "chat" if prompt.chat else ""
    precision = request.precision if request.precision != "model" else ""
    words = (request.dynamics, request.reference, prompt.positions, chat, precision, path or "")
    return " · ".join(filter(None, words))
