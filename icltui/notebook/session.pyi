# Made from the code by python -m tests.docs.reference.

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icltui.api.engine import OnEvent
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    Generation,
    LossCurves,
    Measurement,
    ModelInfo,
    Verification,
)
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

class Session:
    """A prompt, its settings, and all that came of them. It never changes; a notebook shows it as a picture."""

    @classmethod
    def open(cls, path: str | Path) -> Session:
        """The session in the file.

        Raises:
            SessionError: there is none, or it is damaged, newer than this program, or too large.
        """

    @classmethod
    def of(
        cls,
        model: object,
        tokenizer: object = None,
        context: str = "",
        query: str = "",
        *,
        title: str = "",
        sites: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
        **options: Any,
    ) -> Session:
        """A new session: the prompt measured, continued and proved, with the options of all three.

        Raises:
            BadInput: a name that none of them has, or a value that cannot be.
            ModelError: a model that no proof accepts, or that cannot be loaded.
        """

    def run(
        self,
        model: object,
        tokenizer: object = None,
        *,
        sites: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
    ) -> Session:
        """A new session of the same prompt and settings on ``model``: measured, continued and proved.

        Raises:
            BadInput: layers that the model does not have, or a prompt that it cannot read.
            ModelError: a model that no proof accepts, or that cannot be loaded.
        """

    def save(self, path: str | Path) -> Path:
        """Put the session into a new file, whole or not at all, for its owner's eyes only; the explorer opens it.

        Raises:
            SessionError: something is there, or it cannot be written.
        """

    def renamed(self, title: str) -> Session:
        """The same session under another title."""

    def frame(self, library: Any = None) -> Any:
        """Every unit at every layer, a row each, as a data frame of pandas or polars, whichever is there.

        Raises:
            BadInput: the session holds no measures, or neither library is there.
        """

    @property
    def title(self) -> str:
        """Its name; empty where its file's counts."""

    @property
    def prompt(self) -> Prompt:
        """The context and the query, and how they are read."""

    @property
    def recipe(self) -> Recipe:
        """How its patch is made."""

    @property
    def layers(self) -> str:
        """Its layers: all, last, or a list."""

    @property
    def model(self) -> ModelInfo | None:
        """The model that its results come from."""

    @property
    def measurement(self) -> Measurement | None:
        """What each unit of the context does; None where nothing was measured."""

    @property
    def generation(self) -> Generation | None:
        """The lanes of text; None where nothing was generated."""

    @property
    def verification(self) -> Verification | None:
        """The proof with its controls; None where nothing was proved."""

    @property
    def curves(self) -> LossCurves | None:
        """The loss at each position; None where it was not measured."""

    @property
    def heads(self) -> AttentionHeads | None:
        """The attention heads; None where they were not scored."""

    @property
    def compilation(self) -> Compilation | None:
        """The context as one patch; None where nothing was compiled."""

    @property
    def exam(self) -> Exam | None:
        """The exam of every patch; None where none was held."""
