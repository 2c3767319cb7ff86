"""Makes the sessions that come with the program, on the embedded model.

An engine enters; one file for each of :data:`~icltui.storage.paths.EXAMPLES` leaves, with every measure, the lanes and
the verification.
"""

from dataclasses import dataclass, field
from pathlib import Path

from icltui.api import run_to_result
from icltui.api.engine import Engine
from icltui.api.messages import Generate, LoadModel, Measure, Verify
from icltui.api.progress_callback import ProgressCallback
from icltui.storage.paths import EXAMPLES
from icltui.storage.sessions import write_session
from icltui.values import Session
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

_CAPITALS = "The capital of France is Rome.\nThe capital of Spain is Cairo.\n"
_NONCE = "dax -> wug\nfep -> zib\ntoma -> blick\nkiv -> sont\nmerp -> glag\n"
_STORY = "Mia is in the kitchen. Ben is in the garden. Lucy is in the attic. Mia went to the cellar."
_LINEAR = "f(1) = 5; f(2) = 8; f(3) = 11; f(4) = 14; f(5) = 17; f(6) = 20; f(7) = 23; f(8) = 26;"
_MONTHS = "August -> 2\nJanuary -> 7\nSeptember -> 3\nJuly -> 1\nApril -> 10\nNovember -> 5\nMarch -> 9\n"

_LABELS = (
    "plum: yellow\npine: red\nsalad: yellow\nhorse: orange\nrabbit: orange\nwillow: red\ncheese: yellow\nmoss: red\n"
    "mouse: orange\npalm: red\n"
)
_FITTED = (
    "cat rose cactus pasta grass egg onion frog lily fox bear eagle tulip honey dog birch maple sheep lion ivy rice "
    "tiger pear wolf daisy"
)
_UNSEEN = "owl oak goat carrot apple butter bread cake fern cow soup clover"


@dataclass(frozen=True)
class Example:
    """A prompt, the number of tokens per lane, and the patch of the third lane."""

    prompt: Prompt
    n_tokens: int = 12
    recipe: Recipe = field(default_factory=Recipe)
    holdout: tuple[str, ...] = ()


def _words(text: str) -> tuple[str, ...]:
    """A query for the label of each word."""
    return tuple(f"{word}:" for word in text.split())


PROMPTS: dict[str, Example] = {
    "contradicted-capital": Example(Prompt(context=_CAPITALS, query="The capital of France is")),
    "nonce-mapping": Example(Prompt(context=_NONCE, query="toma ->")),
    "entity-story": Example(Prompt(context=_STORY, query=" Where is Mia? Mia is in the")),
    "linear-function": Example(Prompt(context=_LINEAR, query=" f(9) = ")),
    "months": Example(Prompt(context=_MONTHS, query="May -> ")),
    # The context says nothing about the query: no effect is expected.
    "control": Example(Prompt(context=_NONCE, query="The capital of France is")),
    # One patch, compiled on other words than the query's.
    "labels": Example(
        Prompt(context=_LABELS, query="sugar:"),
        n_tokens=2,
        recipe=Recipe(mode="compiled", n_fitted=1, queries=_words(_FITTED), ridge=0.01),
        holdout=_words(_UNSEEN),
    ),
}
"""Examples by name, each of another task that the embedded model was trained on."""


def write_examples(engine: Engine, folder: Path, on_progress: ProgressCallback) -> None:
    """Measure, generate and verify each prompt and save it; ``on_progress`` is called with each name.

    Raises:
        SessionError: a file cannot be written.
    """
    model = run_to_result.load(engine, LoadModel(device="cpu"))
    for name in EXAMPLES:
        on_progress(name)
        example = PROMPTS[name]
        generate = Generate(
            prompt=example.prompt,
            recipe=example.recipe,
            n_tokens=example.n_tokens,
            holdout=example.holdout,
            curves=bool(example.recipe.queries),
        )
        session = Session(
            title=name,
            prompt=example.prompt,
            model=model,
            measurement=run_to_result.measure(engine, Measure(prompt=example.prompt)),
            generation=run_to_result.generate(engine, generate),
            verification=run_to_result.verify(engine, Verify(prompt=example.prompt)),
            recipe=example.recipe,
            n_tokens=example.n_tokens,
            holdout=example.holdout,
        )
        write_session(folder / f"{name}.json", session)
