"""The tour: ten things to do on the screen, each over once it was done. Without Textual.

What the explorer holds enters as a :class:`Sight`; a step is done when the present sight differs from the one at its
beginning in the way that the step asks for. So any way of doing it counts, and no key is taken from anyone.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from icltui.storage.paths import is_example, state_folder
from icltui.tui.state.explorer import Explorer
from icltui.tui.state.session_file import Document
from icltui.values.errors import SessionError
from icltui.values.prompt import Prompt


@dataclass(frozen=True)
class Sight:
    """What the tour looks at in the explorer; results are compared by identity, since each run makes new ones."""

    unit: int
    is_turn: bool
    """Whether the next token changes at the unit, or nowhere."""
    measurement: object
    """A run always makes a new one, where texts may stay: those without ΔW are part of those with it."""
    verification: object
    is_patched: bool
    """Whether ΔW is on and the patched lane has spoken."""
    is_asked: bool
    """Whether the user asked for the last run; that at the start comes by itself."""
    alpha: float | str
    mode: str
    prompt: Prompt
    document: Document
    tab: str = ""
    """Which of the tabs shows."""
    example: str = ""
    """The name of the example that is open; empty: none."""


def sight(explorer: Explorer, unit: int, tab: str = "") -> Sight:
    """The explorer as it is now, its cursor at ``unit``, a tab in sight."""
    results, path = explorer.results, explorer.document.path
    turns = [at for at in range(results.measured.last_unit + 1) if results.measured.has_changed(at)]
    generation = results.generation
    has_spoken = generation is not None and "patched" in generation.lanes
    return Sight(
        unit=unit,
        is_turn=unit in turns or not turns,
        measurement=results.measurement,
        verification=results.verification,
        is_patched=explorer.settings.is_delta_on and has_spoken,
        is_asked=explorer.is_asked,
        alpha=explorer.settings.recipe.alpha,
        mode=explorer.settings.recipe.mode,
        prompt=explorer.settings.prompt,
        document=explorer.document,
        tab=tab,
        example=path.stem if path is not None and is_example(path) else "",
    )


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    title: str
    text: str
    """What it is about: one line of 76 cells at most."""
    press: str
    """What to press: another one."""
    is_done: Callable[[Sight, Sight], bool]
    """Whether it was done between the first sight and the second."""


STEPS = (
    Step(
        "the flip",
        "This context contradicts what the model has learnt. Each row is one token.",
        "4, then k up to a row with ▸: there the model's next token changes.",
        lambda before, now: now.unit != before.unit and now.is_turn,
    ),
    Step(
        "run",
        "A run measures every token at every layer, then continues the query.",
        "^r runs what is on the screen: the query with the context, and without.",
        lambda before, now: now.measurement is not before.measurement and now.is_asked,
    ),
    Step(
        "heatmap",
        "The same numbers, every layer at once: bright is where a token did much.",
        "6 shows the heatmap; h j k l move in it.",
        lambda _, now: now.tab == "heatmap",
    ),
    Step(
        "text",
        "And on the words themselves: the context, shaded by what each token did.",
        "0 shows the text; s shades it by another number.",
        lambda _, now: now.tab == "text",
    ),
    Step(
        "the weights",
        "The context's effect is a change of weights, ΔW: put it in its place.",
        "^t turns ΔW on. Compare the lanes (9): the third has no context.",
        lambda _, now: now.is_patched,
    ),
    Step(
        "strength",
        "The change can be made weaker or stronger: 1 is what the context does.",
        "9, then ← or →: the third lane follows the strength α.",
        lambda before, now: now.alpha != before.alpha,
    ),
    Step(
        "frozen",
        "So far each token had a patch of its own. Held for all, does it last?",
        "p: frozen, one patch for the whole answer. Watch where the lane drifts.",
        lambda _, now: now.mode == "frozen",
    ),
    Step(
        "the proof",
        "Verify proves each layer, beside controls, and says what is a tautology.",
        "v verifies; 4 and 9 come back. While you write press esc first.",
        lambda before, now: bool(now.verification) and now.verification is not before.verification,
    ),
    Step(
        "labels",
        "One patch of 25 queries answers words that it never saw: it carries over.",
        "^l, type labels, enter: d there discards what you tried. Read lane 3 (9).",
        lambda _, now: now.example == "labels",
    ),
    Step(
        "yours",
        "1 is the context: i writes, tab to the query, ^r runs, esc ends it.",
        "Change the text; ^s asks for a name, and enter writes the file.",
        lambda before, now: now.prompt != before.prompt and now.document is not before.document,
    ),
)
END = "that was the tour: ? explains the pane you are in, : finds everything by name, ^l opens more examples"


class Tour:
    """Where in the tour the user is."""

    def __init__(self, now: Sight) -> None:
        self.at = 0
        self._before = now

    @property
    def step(self) -> Step | None:
        """The step to do now; None: the tour is over."""
        return STEPS[self.at] if self.at < len(STEPS) else None

    def look(self, now: Sight) -> bool:
        """Whether what is seen now brought the tour on."""
        if self.step is None or not self.step.is_done(self._before, now):
            return False
        self.at, self._before = self.at + 1, now
        return True


def is_first_start() -> bool:
    """Whether the program was never started here; asked once, it is no more. False where that cannot be remembered."""
    with suppress(OSError, SessionError):
        (state_folder() / "started").touch(mode=0o600, exist_ok=False)
        return True
    return False
