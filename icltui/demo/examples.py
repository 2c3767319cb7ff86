"""The sessions that come with the program, made by the program on the embedded model.

Enters: an engine. Leaves: one file for each of ``icltui.folders.EXAMPLES``, with every number, the lanes and the proof.
"""

from collections.abc import Callable
from pathlib import Path

from icltui import headless
from icltui.api import Engine, Generate, LoadModel, Measure, Verify
from icltui.folders import EXAMPLES
from icltui.prompt import Prompt
from icltui.session import Session, write_session

_CAPITALS = "The capital of France is Rome.\nThe capital of Spain is Cairo.\n"
_NONCE = "dax -> wug\nfep -> zib\ntoma -> blick\nkiv -> sont\nmerp -> glag\n"
_STORY = "Mia is in the kitchen. Ben is in the garden. Lucy is in the attic. Mia went to the cellar."
_LINEAR = "f(1) = 5; f(2) = 8; f(3) = 11; f(4) = 14; f(5) = 17; f(6) = 20; f(7) = 23; f(8) = 26;"
_MONTHS = "August -> 2\nJanuary -> 7\nSeptember -> 3\nJuly -> 1\nApril -> 10\nNovember -> 5\nMarch -> 9\n"

PROMPTS: dict[str, tuple[Prompt, int]] = {
    "contradicted-capital": (Prompt(context=_CAPITALS, query="The capital of France is"), 12),
    "nonce-mapping": (Prompt(context=_NONCE, query="toma ->"), 12),
    "entity-story": (Prompt(context=_STORY, query=" Where is Mia? Mia is in the"), 12),
    "linear-function": (Prompt(context=_LINEAR, query=" f(9) = "), 12),
    "months": (Prompt(context=_MONTHS, query="May -> "), 12),
    # A context that says nothing about its query: the honest zero.
    "control": (Prompt(context=_NONCE, query="The capital of France is"), 12),
}
"""Name → what is asked, and how many tokens the lanes get."""


def write_examples(engine: Engine, folder: Path, created: str, report: Callable[[str], None]) -> None:
    """Measure, generate and verify each prompt and save it; ``report`` hears each name.

    Raises:
        SessionError: a file cannot be written.
    """
    model = headless.load(engine, LoadModel(device="cpu"))
    for name in EXAMPLES:
        report(name)
        prompt, n_tokens = PROMPTS[name]
        session = Session(
            title=name,
            created=created,
            prompt=prompt,
            n_tokens=n_tokens,
            model=model,
            measurement=headless.measure(engine, Measure(prompt=prompt)),
            generation=headless.generate(engine, Generate(prompt=prompt, n_tokens=n_tokens)),
            verification=headless.verify(engine, Verify(prompt=prompt)),
        )
        write_session(folder / f"{name}.json", session)
