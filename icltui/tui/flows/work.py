"""What the user has set up on the screen, frozen, and the requests that it amounts to."""

from dataclasses import dataclass, field, replace

from icltui.api import CountTokens, Generate, Measure, Request, Verify
from icltui.errors import BadInput
from icltui.prompt import Prompt, layers_text, resolve_layers
from icltui.record import LANES, Components, Mode

MODES: tuple[Mode, ...] = ("per-step", "frozen")
COMPONENTS: tuple[Components, ...] = ("both", "weights", "shift")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A prompt with its choices; two equal works ask for the same numbers."""

    prompt: Prompt = field(default_factory=Prompt)
    layers: str = "all"
    """In the words of ``--layers``; canonical once the number of layers is known."""
    mode: Mode = "per-step"
    components: Components = "both"
    n_tokens: int = 12
    is_delta_on: bool = False
    """Whether the third lane runs."""

    @property
    def patch_words(self) -> str:
        """How the patch acts, for a person."""
        parts = {"both": "ΔW and Δb", "weights": "ΔW alone", "shift": "Δb alone"}[self.components]
        return f"{self.mode}, {parts}"

    def count(self) -> CountTokens:
        """The request that only tokenises."""
        return CountTokens(prompt=self.prompt)

    def measure(self) -> Measure:
        """The request that fills table, plots and heatmap."""
        return Measure(prompt=self.prompt, layers=self.layers)

    def generate(self) -> Generate:
        """The request that fills the lanes: three of them with ΔW on, else the first two."""
        return Generate(
            prompt=self.prompt,
            layers=self.layers,
            mode=self.mode,
            components=self.components,
            n_tokens=self.n_tokens,
            lanes=LANES if self.is_delta_on else LANES[:2],
        )

    def verify(self) -> Verify:
        """The request that proves the patch."""
        return Verify(prompt=self.prompt, layers=self.layers)

    def renew(self, request: Request) -> Request:
        """A request that waits, in the words of this work."""
        match request:
            case Measure():
                return self.measure()
            case Generate():
                return self.generate()
            case Verify():
                return self.verify()
        return request

    def chosen(self, n_layers: int) -> tuple[int, ...]:
        """The ticked layers of ``n_layers``; all of them where the text does not fit this model."""
        try:
            return resolve_layers(self.layers, n_layers)
        except BadInput:
            return tuple(range(n_layers))

    def fitted(self, n_layers: int) -> "Work":
        """This work with its layers in canonical words for a model of ``n_layers``."""
        return replace(self, layers=layers_text(self.chosen(n_layers), n_layers))

    def with_next_mode(self) -> "Work":
        """Per-step becomes frozen, and back."""
        return replace(self, mode=MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def with_next_components(self) -> "Work":
        """Both, then weights alone, then the shift alone."""
        at = COMPONENTS.index(self.components)
        return replace(self, components=COMPONENTS[(at + 1) % len(COMPONENTS)])
