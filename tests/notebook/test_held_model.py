"""The engine on a model that the user holds: the same numbers as by name, proved once, and no trace on the model."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.utils import logging

from icltui.api.messages import Event
from icltui.api.operation import OPERATIONS
from icltui.notebook.held_model import engine_on
from icltui.values.errors import BadInput

PROMPT = {"context": "The capital of France is Rome.", "query": "The capital of France is"}


def whole_state(model: nn.Module) -> dict[str, Any]:
    """Everything that can be known of a model without running it: attributes by identity, weights by their bytes."""
    state: dict[str, Any] = {"random": torch.get_rng_state().tolist()}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            is_held = attribute in ("_modules", "_parameters", "_buffers") or attribute.endswith("_hooks")
            state[f"{name}.{attribute}"] = dict(value) if is_held else value
        if (config := vars(module).get("config")) is not None:
            state[f"{name}.config"] = dict(vars(config))
    for name, parameter in model.named_parameters():
        grad = None if parameter.grad is None else parameter.grad.clone()
        state[f"={name}"] = (parameter.detach().clone(), grad, parameter.requires_grad, parameter._version)
    state["generation"] = dict(vars(model.generation_config))
    state["process"] = (torch.get_float32_matmul_precision(), logging.get_verbosity())
    return state


def is_equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and (a is b or torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(is_equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(is_equal, a, b))
    return a is b or bool(a == b)


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [key for key in before | after if not is_equal(before.get(key), after.get(key))]


def in_training(model: Any) -> None:
    """As in the middle of a training: gradients, dropout, frozen parts, hooks, settings, and no cache."""
    model.train()
    model.model.layers[1].eval()
    model.model.embed_tokens.weight.requires_grad_(False)
    model.config.use_cache = False
    model.generation_config.temperature = 0.3
    model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
    model.model.layers[0].register_forward_hook(lambda *_: None)
    model.model.layers[2].mlp.register_forward_pre_hook(lambda *_: None)


@pytest.fixture
def precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_leaves_the_model_as_it_was(operation: Any, held: Any) -> None:
    model, tokenizer = held
    in_training(model)
    before = whole_state(model)
    few = {"compile": {"holdout": ("Q: 1",), "n_queries": 2, "budget": 1.0}, "heads": {"n_seeds": 1}}
    known = {option.field for option in operation.options}
    request = operation.read(
        {name: v for name, v in (PROMPT | few.get(operation.name, {})).items() if name in known}
    )
    try:
        with engine_on(model, tokenizer) as engine:
            list(engine.run(request, lambda: False))
    except BadInput:
        assert operation.name in ("compile", "exam")  # which need more than this prompt
    assert changed(before, whole_state(model)) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_job_that_is_broken_off_leaves_the_model_as_it_was(error: type[BaseException], held: Any) -> None:
    model, tokenizer = held
    in_training(model)
    before = whole_state(model)

    def fail(_: Event) -> None:
        raise error

    with pytest.raises(error), engine_on(model, tokenizer, on_event=fail):
        pass
    assert changed(before, whole_state(model)) == []
