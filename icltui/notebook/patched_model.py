"""A context's patch in a model that the user holds: inside a ``with`` block the model acts as with the context.

Enters: a model of transformers, its tokenizer, and what a patch is made from. Leaves: a :class:`PatchedModel`. The
model's own calls, its ``generate``, a pipeline around it, batches, caches and gradients go through the patch while the
block lasts; no weight is touched, and after it nothing of the patch is left in the model.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

import torch
from msgspec.structs import replace as with_changes

from icltui.api.messages import Event
from icltui.api.option_table import option_of
from icltui.api.progress_callback import ignore_progress
from icltui.engine.export.export_patch import check_carrier
from icltui.engine.export.jobs import check_target, keep_draft, staged, write_draft
from icltui.engine.generate.jobs import make_patch
from icltui.engine.generate.prepare_request import make_spec
from icltui.engine.hooks.attach import Attachment, attach
from icltui.engine.hooks.site import input_device
from icltui.engine.models.fingerprint import fingerprint
from icltui.engine.models.merged_adapters import adapter_state
from icltui.engine.patch.build import BuiltPatch
from icltui.engine.patch.live_patch import LivePatch
from icltui.notebook.acting_patches import acting_in, begin, end
from icltui.notebook.held_model import engine_on, own_sites
from icltui.notebook.held_patch_report import HeldPatchReport
from icltui.notebook.held_patch_request import (
    PatchRequest,
    request_of_adapter,
    request_of_session,
    request_of_texts,
    source_of,
)
from icltui.notebook.plain_type import plain_number
from icltui.notebook.process_settings import keeping_process_settings
from icltui.notebook.try_held_patch import contextual_noise, report_held
from icltui.notebook.unwrap import check_order, unwrap
from icltui.values import ExportReport, LayerFit, ModelInfo, Session
from icltui.values.errors import BadInput
from icltui.values.prompt import Bos, layers_text
from icltui.values.recipe import Recipe, patch_words

Result = TypeVar("Result")


def patched_model(
    model: Any,
    tokenizer: Any,
    given: Mapping[str, Any],
    session: Any = None,
    adapter: str | Path | None = None,
    sites: Mapping[str, str] | None = None,
) -> "PatchedModel":
    """The patch for ``model`` that the ``given`` texts and options, the session or the adapter amount to.

    Raises:
        BadInput: options that no patch can be made by, a model that a patch acts in, or other weights than those of the
            session or the adapter.
        ModelError: a model that no proof accepts.
    """
    if isinstance(model, str | PathLike):
        raise BadInput(
            f"a patch stays in a model in memory, and {fspath(model)!r} is a name: load it with "
            "AutoModelForCausalLM.from_pretrained"
        )
    check_order(model, tokenizer)
    if session is None and adapter is None:
        given = {"bos": _own_bos(tokenizer, is_chat=bool(given.get("chat"))), **given}
    request = _request(session, adapter, dict(given))
    own = unwrap(model)
    check_not_compiled(model)
    with _exactly(own), engine_on(own, tokenizer, sites) as engine:
        assert engine.loaded is not None
        assert engine.info is not None
        request.check_weights(engine.info)
        spec = make_spec(
            engine.loaded, request.prompt, request.layers, request.recipe, request.holdout, kept=request.kept
        )
        return PatchedModel(own, request, engine.info, make_patch(spec, ignore_progress))


def _own_bos(tokenizer: Any, is_chat: bool) -> Bos:
    """What keeps before the text just what the tokenizer writes there itself, as the user's own calls have it.

    A patch that was made behind another kept token fits none of them: compiled on SmolLM2 it wrote garbage.
    """
    if (
        is_chat
        or tokenizer("a")["input_ids"][:1] != tokenizer("a", add_special_tokens=False)["input_ids"][:1]
    ):
        return "auto"
    return "never"


class PatchedModel:
    """A patch and the model that it is for. It acts inside a ``with`` block, which may be entered again and again."""

    def __init__(self, model: Any, request: PatchRequest, info: ModelInfo, built: BuiltPatch) -> None:
        assert built.patch is not None
        self.model_info = info
        self._model, self._request, self._built = model, request, built
        chosen = {site.layer for site in built.spec.sites}
        sites = [site for site in own_sites(model, built.spec.loaded) if site.layer in chosen]
        self._live = LivePatch(sites, built.patch.layers, built.alpha)
        self._attachment: Attachment[LivePatch] = attach(sites, self._live)
        self._noise: float | None = None
        self._mark = object()
        self._fingerprint = fingerprint(model)  # of the user's, where an adapter of PEFT is apart
        self._adapters = adapter_state(model)

    def __enter__(self) -> "PatchedModel":
        check_not_compiled(self._model)
        self._check_unchanged()
        begin(self._model, self._mark)
        try:
            self._attachment.__enter__()
        except BaseException:
            end(self._model)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._attachment.__exit__()
        end(self._model)

    @property
    def is_acting(self) -> bool:
        """Whether the model goes through the patch at the moment."""
        return acting_in(self._model) is self._mark

    @property
    def recipe(self) -> Recipe:
        """How the patch was made; its ``alpha`` may be a way in which the strength was found."""
        return self._request.recipe

    @property
    def fit(self) -> tuple[LayerFit, ...]:
        """How the patch fits its own tokens, layer by layer."""
        return self._built.fits

    @property
    def layers(self) -> tuple[int, ...]:
        """The patched layers, ascending."""
        return tuple(site.layer for site in self._built.spec.sites)

    @property
    def rank(self) -> int:
        """The largest rank of its maps."""
        return self._built.rank

    @property
    def inputs(self) -> dict[str, Any]:
        """The query's tokens after those that are kept, where the patch is exact: ``model(**patch.inputs)``."""
        return self._row(self._built.spec.ids.plain)

    @property
    def inputs_with_context(self) -> dict[str, Any]:
        """The same with the context before the query: what the model says to them without the patch, it says to
        :attr:`inputs` with it.
        """
        return self._row(self._built.spec.ids.full)

    def _row(self, ids: list[int]) -> dict[str, Any]:
        row = torch.tensor([ids], device=input_device(self._model))
        return {"input_ids": row, "attention_mask": torch.ones_like(row)}

    @property
    def alpha(self) -> float:
        """The strength, 0 to 2, that the patch acts with; it may be set while it acts. At 0 nothing is added."""
        return float(self._live.alpha)

    @alpha.setter
    def alpha(self, value: float) -> None:
        value = plain_number(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadInput(
                f"alpha {value!r} is no number: give 0 to 2, or make the patch anew to have it searched"
            )
        option_of("alpha").check(float(value))
        self._live.turn(float(value))

    @property
    def noise(self) -> float:
        """What rounding makes of right runs with the context: L∞ in logits, which no exact patch need be below."""
        if self._noise is None:
            with _exactly(self._model):
                self._noise = contextual_noise(self._built)
        return self._noise

    def report(self) -> HeldPatchReport:
        """The fit, what the patch does on other tokens, and its logits beside a random and a shuffled patch's."""
        with _exactly(self._model):
            return report_held(replace(self._built, alpha=self.alpha))

    def save(self, path: str | Path) -> ExportReport:
        """Write the patch at its present strength as a LoRA adapter for PEFT into a new folder, and read it back.

        Raises:
            BadInput: the folder exists or cannot be written, or the patch has no form as an adapter.
            ModelError: PEFT is missing.
            EngineError: what is read back is not the patch; nothing is left at ``path``.
        """
        target, spec = Path(path), self._built.spec
        check_target(str(target), "peft")
        check_carrier(spec.recipe)
        built = replace(self._built, alpha=self.alpha)
        layers = layers_text(self.layers, self.model_info.n_layers)
        source = source_of(self._request, self.model_info, layers, spec.record, self.alpha)
        with _exactly(self._model), staged(target) as folder:
            draft = write_draft(built, "peft", folder, self.model_info, ignore_progress, source)
            return _result(keep_draft(draft, folder, target, lambda: _copy(spec.loaded.model)))

    def __repr__(self) -> str:
        state = "acts" if self.is_acting else "does not act"
        words = patch_words(with_changes(self.recipe, alpha=self.alpha))
        return (
            f"<patch of {type(self._model).__name__}: {words}; {len(self.layers)} of {self.model_info.n_layers} "
            f"layers, rank {self.rank}; {state}>"
        )

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        raise BadInput(
            "a patch belongs to its model in memory, and is not copied or pickled: save(path) writes it, and "
            "icltui.patched(model, tokenizer, adapter=path) makes it again"
        )

    def _check_unchanged(self) -> None:
        now, then = fingerprint(self._model), self._fingerprint
        if now != then:
            raise BadInput(
                f"the model's weights changed since the patch was made (fingerprint {then}, now {now}): make it anew"
            )
        if adapter_state(self._model) != self._adapters:
            raise BadInput(
                "other adapters act in the model, or others as strongly, than when the patch was made: make it anew"
            )
        device = str(input_device(self._model))
        if device != self.model_info.device:
            raise BadInput(
                f"the model is on {device}, and was on {self.model_info.device} when the patch was made: make it anew"
            )


def check_not_compiled(model: Any) -> None:
    """Refuse a model whose calls are compiled, and pass hooks by.

    Raises:
        BadInput: saying what to do.
    """
    own = unwrap(model)
    is_compiled = any(module._compiled_call_impl is not None for module in own.modules())
    if hasattr(model, "_orig_mod") or hasattr(own, "_compiled_call") or is_compiled:
        raise BadInput(
            "the model is compiled, and what is compiled passes a patch by: hand in one that is not"
        )


@contextmanager
def _exactly(model: Any) -> Iterator[None]:
    """The engine's own passes: without the user's gradients, inference mode, autocast, or settings of the process."""
    with (
        keeping_process_settings(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(input_device(model).type, enabled=False),
    ):
        yield


def _request(session: Any, adapter: str | Path | None, options: dict[str, Any]) -> PatchRequest:
    if session is not None and adapter is not None:
        raise BadInput("a session and an adapter are both what a patch is made from: give one")
    if adapter is not None:
        if options:
            raise BadInput(
                f"the adapter has its own {next(iter(options))}: leave it out, and set alpha afterwards"
            )
        return request_of_adapter(Path(adapter))
    if session is None:
        return request_of_texts(options)
    value = getattr(session, "value", session)
    if not isinstance(value, Session):
        raise BadInput(f"{type(session).__name__} is no session: open one with icltui.Session.open(path)")
    return request_of_session(value, options)


def _result(events: Generator[Event, None, Result]) -> Result:
    """What the generator returns, once it has run."""
    while True:
        try:
            next(events)
        except StopIteration as ended:
            result: Result = ended.value
            return result


def _copy(model: Any) -> Generator[Event, None, Any]:
    """A copy of the model, which an adapter is tried on."""
    yield from ()
    return deepcopy(model)
