"""A session in Python: what the explorer and the command line save, opened, made, looked at and saved.

Enters: a session file, or a model with a prompt. Leaves: a :class:`NotebookSession`, which Python knows as
``icltui.Session``. What is saved here opens in the explorer, and what is saved there opens here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from icltui.api import run_to_result
from icltui.api.engine import OnEvent
from icltui.api.messages import Generate, Measure, Verify
from icltui.api.operation import Operation, operation_of
from icltui.notebook.display import Bundle, bundle_of_session, svg_of
from icltui.notebook.plain_type import plain_number
from icltui.storage.atomic import path_is_taken
from icltui.storage.paths import shown
from icltui.storage.sessions import read_session, write_session
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
from icltui.values import Session as SessionValue
from icltui.values.errors import BadInput, SessionError
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe

_OPERATIONS = tuple(map(operation_of, ("measure", "generate", "verify")))
"""What a session that is made in Python holds the results of."""


class NotebookSession:
    """A prompt, its settings, and all that came of them. It never changes; a notebook shows it as a picture."""

    def __init__(self, value: SessionValue) -> None:
        if not isinstance(value, SessionValue):
            raise BadInput(
                f"{type(value).__name__} is no session: open one with icltui.Session.open(path), or make one with "
                "icltui.Session.of(model, tokenizer, context, query)"
            )
        self.value = value

    @classmethod
    def open(cls, path: str | Path) -> "NotebookSession":
        """The session in the file.

        Raises:
            SessionError: there is none, or it is damaged, newer than this program, or too large.
        """
        return cls(read_session(Path(path)))

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
    ) -> "NotebookSession":
        """A new session: the prompt measured, continued and proved, with the options of all three.

        Raises:
            BadInput: a name that none of them has, or a value that cannot be.
            ModelError: a model that no proof accepts, or that cannot be loaded.
        """
        from icltui.notebook.unwrap import (
            check_order,
        )  # with torch, which a session that is opened needs not

        check_order(model, tokenizer)
        values = {"context": context, "query": query, **options}
        values = {name: plain_number(value) for name, value in values.items()}
        for name in values:
            if not any(name in _names(operation) for operation in _OPERATIONS):
                known = dict.fromkeys(name for operation in _OPERATIONS for name in _names(operation))
                raise BadInput(f"{name!r} is no option of a session: use {', '.join(known)}")
        measure, generate, verify = (
            operation.read({name: value for name, value in values.items() if name in _names(operation)})
            for operation in _OPERATIONS
        )
        return cls._made(title, (measure, generate, verify), model, tokenizer, sites, on_event)

    def run(
        self,
        model: object,
        tokenizer: object = None,
        *,
        sites: Mapping[str, str] | None = None,
        on_event: OnEvent | None = None,
    ) -> "NotebookSession":
        """A new session of the same prompt and settings on ``model``: measured, continued and proved.

        Raises:
            BadInput: layers that the model does not have, or a prompt that it cannot read.
            ModelError: a model that no proof accepts, or that cannot be loaded.
        """
        one = self.value
        how: dict[str, Any] = {"prompt": one.prompt, "layers": one.layers}
        measured = Measure(**how, dynamics=one.dynamics, reference=one.reference, precision=one.precision)
        made = Generate(
            **how, recipe=one.recipe, sampling=one.sampling, holdout=one.holdout, n_tokens=one.n_tokens
        )
        return self._made(one.title, (measured, made, Verify(**how)), model, tokenizer, sites, on_event)

    @classmethod
    def _made(
        cls,
        title: str,
        requests: tuple[Any, Any, Any],
        model: object,
        tokenizer: object,
        sites: Mapping[str, str] | None,
        on_event: OnEvent | None,
    ) -> "NotebookSession":
        from icltui.notebook.held_model import (
            engine_on,
        )  # with torch, which a session that is opened needs not

        hear = on_event or (lambda _event: None)
        measure, generate, _ = requests
        with engine_on(model, tokenizer, sites, hear) as engine:
            measurement, generation, verification = (
                run_to_result.answer(engine, request, hear) for request in requests
            )
            info = engine.info
        session = SessionValue(
            title=title,
            prompt=measure.prompt,
            layers=measure.layers,
            recipe=generate.recipe,
            sampling=generate.sampling,
            holdout=generate.holdout,
            n_tokens=generate.n_tokens,
            dynamics=measure.dynamics,
            reference=measure.reference,
            precision=measure.precision,
            model=info,
            measurement=measurement,
            generation=generation,
            verification=verification,
        )
        return cls(session)

    def save(self, path: str | Path) -> Path:
        """Put the session into a new file, whole or not at all, for its owner's eyes only; the explorer opens it.

        Raises:
            SessionError: something is there, or it cannot be written.
        """
        path = Path(path)
        if path_is_taken(path):
            raise SessionError(f"{shown(path)} exists already: choose another name")
        write_session(path, self.value)
        return path

    def renamed(self, title: str) -> "NotebookSession":
        """The same session under another title."""
        return NotebookSession(replace(self.value, title=title))

    def frame(self, library: Any = None) -> Any:
        """Every unit at every layer, a row each, as a data frame of pandas or polars, whichever is there.

        Raises:
            BadInput: the session holds no measures, or neither library is there.
        """
        if self.measurement is None:
            raise BadInput(
                "the session holds no measures: run it with a model, session.run(model, tokenizer)"
            )
        return self.measurement.frame(library)

    @property
    def title(self) -> str:
        """Its name; empty where its file's counts."""
        return self.value.title

    @property
    def prompt(self) -> Prompt:
        """The context and the query, and how they are read."""
        return self.value.prompt

    @property
    def recipe(self) -> Recipe:
        """How its patch is made."""
        return self.value.recipe

    @property
    def layers(self) -> str:
        """Its layers: all, last, or a list."""
        return self.value.layers

    @property
    def model(self) -> ModelInfo | None:
        """The model that its results come from."""
        return self.value.model

    @property
    def measurement(self) -> Measurement | None:
        """What each unit of the context does; None where nothing was measured."""
        return self.value.measurement

    @property
    def generation(self) -> Generation | None:
        """The lanes of text; None where nothing was generated."""
        return self.value.generation

    @property
    def verification(self) -> Verification | None:
        """The proof with its controls; None where nothing was proved."""
        return self.value.verification

    @property
    def curves(self) -> LossCurves | None:
        """The loss at each position; None where it was not measured."""
        return self.value.curves

    @property
    def heads(self) -> AttentionHeads | None:
        """The attention heads; None where they were not scored."""
        return self.value.heads

    @property
    def compilation(self) -> Compilation | None:
        """The context as one patch; None where nothing was compiled."""
        return self.value.compilation

    @property
    def exam(self) -> Exam | None:
        """The exam of every patch; None where none was held."""
        return self.value.exam

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NotebookSession) and other.value == self.value

    def __repr__(self) -> str:
        names = ("measurement", "generation", "verification", "curves", "heads", "compilation", "exam")
        held = [name for name in names if getattr(self.value, name) is not None]
        on = f" on {self.value.model.name}" if self.value.model is not None else ""
        return f"<session {self.title!r}{on}: {', '.join(held) or 'no results'}>"

    def _repr_mimebundle_(self, **_: Any) -> Bundle:
        return bundle_of_session(self.value)

    def _repr_svg_(self) -> str | None:
        return svg_of(self.value)


def _names(operation: Operation) -> tuple[str, ...]:
    return tuple(option.field for option in operation.options)
