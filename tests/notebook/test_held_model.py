"""The engine on a model that the user holds: the same numbers as by name, proved once, and no trace on the model."""

import copy
import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy
import pytest
import torch
from accelerate import cpu_offload
from torch import Tensor, nn
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration
from transformers.utils import logging

import icltui
from icltui.api.messages import Event
from icltui.api.operation import OPERATIONS, operation_of
from icltui.api.run_to_result import answer
from icltui.engine.local import try_out
from icltui.engine.models.checkpoint import MODEL_DIR
from icltui.notebook import held_model
from icltui.notebook.held_model import engine_on, own_sites
from icltui.values import Measurement
from icltui.values.errors import BadInput, IcltuiError, ModelError
from tests.engine.small_models import make_tiny, make_tokenizer, tiny


@pytest.fixture
def held() -> tuple[Any, Any]:
    """A tiny model as its user made it, and its tokenizer: proved in no time."""
    loaded = make_tiny("qwen3", torch.float32)
    return loaded.model.requires_grad_(True), loaded.tokenizer


PROMPT = {"context": "Paris is big", "query": " so"}


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
@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(operation, id=operation.name, marks=[pytest.mark.zoo] * (operation.name == "exam"))
        for operation in OPERATIONS
    ],
)
def test_every_operation_leaves_the_model_as_it_was(operation: Any, held: Any) -> None:
    model, tokenizer = held
    in_training(model)
    before = whole_state(model)
    queries: dict[str, Any] = {"queries": ("a", "b"), "holdout": ("d", "e")}
    more = {
        "compile": queries | {"ridge": 0.1, "rank": 2, "layers": "0"},
        "exam": queries | {"rows": ("plain", "ordinary"), "ridge": 0.1, "budget": 0.1},
        "heads": {"n_seeds": 1},
    }
    request = operation.read(PROMPT | more.get(operation.name, {}))
    with engine_on(model, tokenizer) as engine:
        assert answer(engine, request)
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


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fingerprint of each model that was proved."""
    done: list[str] = []

    def counted(*args: Any) -> Any:
        loaded, info = try_out(*args)
        done.append(info.fingerprint)
        return loaded, info

    monkeypatch.setattr(held_model, "try_out", counted)
    return done


def ask(model: Any, tokenizer: Any) -> Measurement:
    with engine_on(model, tokenizer) as engine:
        return answer(engine, operation_of("measure").read(PROMPT))


def step(model: Any) -> None:
    """One step of a training, of one matrix alone."""
    weight = model.model.layers[0].mlp.down_proj.weight
    torch.optim.SGD([weight], lr=1e-3).step()


def one_number(model: Any) -> None:
    with torch.no_grad():
        model.model.layers[1].self_attn.o_proj.weight[3, 5] += 1


def attention(model: Any) -> None:
    model.set_attn_implementation("eager")


def steer(model: Any) -> None:
    model.model.layers[1].register_forward_hook(lambda _module, _args, out: out * 1.5)


def replaced(model: Any) -> None:
    model.model.layers[0].mlp.act_fn = nn.ReLU()


def doubled(model: Any) -> None:
    model.double()


@pytest.mark.parametrize(
    "change",
    [
        step,
        attention,
        steer,
        *(pytest.param(one, marks=pytest.mark.zoo) for one in (one_number, replaced, doubled)),
    ],
    ids=lambda change: change.__name__,
)
def test_a_model_is_proved_once_and_again_where_it_changed(change: Any, held: Any, proofs: list[str]) -> None:
    model, tokenizer = held
    model.model.layers[0].mlp.down_proj.weight.grad = torch.ones_like(
        model.model.layers[0].mlp.down_proj.weight
    )
    first = ask(model, tokenizer)
    assert ask(model, tokenizer).rows == first.rows
    assert len(proofs) == 1
    change(model)
    second = ask(model, tokenizer)
    assert len(proofs) == 2
    assert change is attention or second.rows != first.rows
    assert second.rows == ask(copy.deepcopy(model), tokenizer).rows
    if change is step:
        assert proofs[0] != proofs[1]


def test_another_tokenizer_is_another_proof(held: Any, proofs: list[str]) -> None:
    model, tokenizer = held
    ask(model, tokenizer)
    ask(model, make_tokenizer())
    assert len(proofs) == 2


def test_a_remembered_proof_is_the_whole_proof(held: Any) -> None:
    """Refused layers, rounding and sources of v come back as they were found."""
    model, tokenizer = held
    model.bfloat16()
    with engine_on(model, tokenizer) as first, engine_on(model, tokenizer) as second:
        assert first.loaded is not None
        assert second.loaded is not None
        assert first.info == second.info
        for name in ("refused", "rounding", "sink", "window", "name"):
            assert getattr(first.loaded, name) == getattr(second.loaded, name)
        assert first.loaded.rounding
        assert [site.residual for site in first.loaded.sites] == [
            site.residual for site in second.loaded.sites
        ]
        own = own_sites(model, second.loaded)
    modules = {id(module) for module in model.modules()}
    for site in own:
        assert {id(site.block), id(site.mlp), *(id(p.module) for p in site.input_projections)} <= modules


def test_nothing_keeps_a_model_in_memory() -> None:
    loaded = make_tiny("qwen3", torch.float32)
    ask(loaded.model, loaded.tokenizer)
    there = weakref.ref(loaded.model)
    del loaded
    gc.collect()
    assert there() is None


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_a_weight_that_is_computed_is_measured_as_it_is_at_the_moment(norm: Any, held: Any) -> None:
    model, tokenizer = held
    other, names = copy.deepcopy(model), ("gate_proj", "down_proj")
    with torch.no_grad():
        for layer in model.model.layers:
            for name in names:
                norm(getattr(layer.mlp, name))
        model(torch.tensor([[1]]))
        for layer, plain in zip(model.model.layers, other.model.layers, strict=True):
            for name in names:
                matrix = getattr(layer.mlp, name)
                size = next(
                    part for key, part in matrix.named_parameters() if key.endswith(("_g", "original0"))
                )
                size.mul_(1.5)  # and no pass since, which would compute the matrix anew
                direction = next(
                    part for key, part in matrix.named_parameters() if key.endswith(("_v", "original1"))
                )
                getattr(plain.mlp, name).weight.copy_(torch._weight_norm(direction, size, 0))
    assert ask(model, tokenizer).rows == ask(other, tokenizer).rows


def test_training_goes_on_after_a_measure(held: Any) -> None:
    """No tensor of inference mode stays in the model, where it could not be trained."""
    model, tokenizer = held
    model.train()
    ask(model, tokenizer)
    model(torch.tensor([[1, 2, 3]])).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_two_threads_may_ask_at_once(held: Any) -> None:
    model, tokenizer = held
    alone = ask(model, tokenizer)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: ask(model, tokenizer), range(3)))
    assert all(each.rows == alone.rows for each in found)


@contextmanager
def another_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def all_at_once() -> Iterator[None]:
    with torch.no_grad(), torch.autocast("cpu"), torch.device("meta"), another_dtype():
        yield


SURROUNDINGS = [torch.no_grad, lambda: torch.autocast("cpu"), lambda: torch.device("meta"), another_dtype]


@pytest.mark.parametrize(
    "surroundings", [all_at_once, *(pytest.param(one, marks=pytest.mark.zoo) for one in SURROUNDINGS)]
)
def test_what_is_set_for_all_code_changes_no_number(surroundings: Any, held: Any) -> None:
    model, tokenizer = held
    plain = ask(model, tokenizer)
    with surroundings():
        assert ask(copy.deepcopy(model), tokenizer).rows == plain.rows


def compiled(model: Any) -> Any:
    return torch.compile(model)


def forward_compiled(model: Any) -> Any:
    model.forward = torch.compile(model.forward)
    return model


def offloaded(model: Any) -> Any:
    return cpu_offload(model, execution_device=torch.device("cpu"))


def adapted(model: Any) -> Any:
    torch.manual_seed(0)
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    return peft.get_peft_model(model, config)


def adapted_in_the_mlp(model: Any) -> Any:
    torch.manual_seed(0)
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["gate_proj", "down_proj"], init_lora_weights=False)
    return peft.get_peft_model(model, config)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(compiled, marks=pytest.mark.zoo),
        pytest.param(forward_compiled, marks=pytest.mark.zoo),
        offloaded,
    ],
)
def test_a_model_that_is_wrapped_gives_the_same_numbers(wrap: Any, held: Any) -> None:
    model, tokenizer = held
    plain = ask(model, tokenizer)
    assert ask(wrap(model), tokenizer).rows == plain.rows


@pytest.mark.zoo
@pytest.mark.parametrize("wrap", [adapted, adapted_in_the_mlp])
def test_an_adapter_counts(wrap: Any, held: Any) -> None:
    model, tokenizer = held
    plain = ask(model, tokenizer)
    both = wrap(model)
    before = whole_state(both)
    found = ask(both, tokenizer)
    assert changed(before, whole_state(both)) == []
    merged = ask(copy.deepcopy(both).merge_and_unload(), tokenizer)
    assert found.rows != plain.rows
    assert found.rows == merged.rows
    assert found.predictions == merged.predictions


class Adapted(nn.Linear):
    """A matrix with an adapter of nobody's library beside it, as many write their own."""

    def __init__(self, matrix: nn.Linear) -> None:
        super().__init__(matrix.in_features, matrix.out_features, bias=False)
        self.weight = matrix.weight
        self.down = nn.Parameter(torch.randn(2, matrix.in_features))
        self.up = nn.Parameter(torch.randn(matrix.out_features, 2))

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z) + z @ self.down.T @ self.up.T


class Around(nn.Module):
    """The same as a module around the matrix."""

    def __init__(self, matrix: nn.Linear) -> None:
        super().__init__()
        self.adapted = Adapted(matrix)
        self.matrix, self.down, self.up = matrix, self.adapted.down, self.adapted.up
        del self.adapted

    def forward(self, z: Tensor) -> Tensor:
        return self.matrix(z) + z @ self.down.T @ self.up.T


def adapted_by_hand(kind: Any) -> Any:
    """Its ‖ΔW‖ would be that of the matrix without what is added, 20 % off."""

    def made(model: Any) -> Any:
        for layer in model.model.layers:
            layer.mlp.gate_proj = kind(layer.mlp.gate_proj)
        return model

    return made


class Trained(nn.Parameter):
    """A parameter of a class of its own, as quantized ones are."""


def headless(model: Any) -> Any:
    return model.model


def on_meta(model: Any) -> Any:
    return model.to("meta")


def flexible(model: Any) -> Any:
    model.config._attn_implementation = "flex_attention"
    return model


def with_a_lock(model: Any) -> Any:
    model.lock = Lock()
    return model


def with_its_own_parameter(model: Any) -> Any:
    weight = model.model.norm.weight
    model.model.norm.weight = torch.Tensor._make_subclass(Trained, weight.data, True)
    return model


def virtual_tokens(model: Any) -> Any:
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(model, peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))


BAD: list[tuple[Any, type[IcltuiError], str]] = [
    (lambda _: Mock(), BadInput, "a unittest.mock.Mock is no model of transformers: hand in a model such as"),
    (lambda _: None, BadInput, "a NoneType is no model of transformers"),
    (lambda _: nn.Linear(2, 2), BadInput, "a torch.nn.modules.linear.Linear is no model of transformers"),
    (nn.DataParallel, BadInput, "is no model of transformers: hand in its .module"),
    (
        lambda m: SimpleNamespace(model=m),
        BadInput,
        "a types.SimpleNamespace is no model of transformers: hand in its .model",
    ),
    (headless, ModelError, "Qwen3Model has no head that gives logits: load it with AutoModelForCausalLM"),
    (on_meta, ModelError, "Qwen3ForCausalLM has weights on the meta device"),
    (
        flexible,
        ModelError,
        "Qwen3ForCausalLM has flex_attention, which on a CPU may end this whole process: call ",
    ),
    (with_a_lock, ModelError, "holds something that cannot be copied (TypeError: cannot pickle"),
    (with_its_own_parameter, ModelError, "parameters of class Trained that are trained"),
    (
        adapted_by_hand(Adapted),
        ModelError,
        "its Adapted adds to a matrix what down and up give, which is not in",
    ),
    (
        adapted_by_hand(Around),
        ModelError,
        "its Around adds to a matrix what down and up give, which is not in",
    ),
    (virtual_tokens, ModelError, "its adapter is of virtual tokens"),
    (
        lambda _: T5ForConditionalGeneration(
            T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
        ),
        ModelError,
        "T5ForConditionalGeneration reads with an encoder",
    ),
    (lambda _: "demo", BadInput, "'demo' is the name of a model, which brings its own tokenizer"),
]


@pytest.mark.parametrize(("make", "kind", "line"), BAD)
def test_what_is_no_model_is_refused_in_a_line(
    make: Any, kind: type[IcltuiError], line: str, held: Any
) -> None:
    model, tokenizer = held
    with pytest.raises(kind) as refused:
        ask(make(model), tokenizer)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tokenizer", "line"),
    [
        (None, "a model in memory needs its tokenizer"),
        (Mock(), "a unittest.mock.Mock is no tokenizer of transformers"),
        (
            "Paris is big",
            r"is the model's tokenizer, and a text was given: write \(model, tokenizer, context",
        ),
    ],
)
def test_what_is_no_tokenizer_is_refused_in_a_line(tokenizer: Any, line: str, held: Any) -> None:
    with pytest.raises(BadInput, match=line):
        ask(held[0], tokenizer)


@pytest.mark.parametrize("door", [icltui.measure, icltui.patched, icltui.Session.of])
def test_arguments_in_one_anothers_place_are_told_apart(door: Any, held: Any) -> None:
    """Before anything is said of a query, which is empty where all arguments are one too far to the left."""
    model, tokenizer = held
    with pytest.raises(BadInput, match="the second argument is the model's tokenizer, and a text was given"):
        door(model, *PROMPT.values())
    with pytest.raises(BadInput, match="the first argument is the model, and a tokenizer was given"):
        door(tokenizer, model)
    with pytest.raises(
        BadInput, match=r"'demo' is (the name of a model, which brings its own|a name: load it)"
    ):
        door("demo", *PROMPT.values())
    with pytest.raises(BadInput, match=r"sites is 'mlp': give modules by name"):
        door(model, tokenizer, **PROMPT, sites="mlp")


def test_numbers_of_numpy_and_torch_are_numbers(held: Any) -> None:
    model, tokenizer = held
    for alpha in (*numpy.linspace(0, 1, 2, dtype=numpy.float32), torch.tensor(0.5)):
        made = icltui.generate(
            model, tokenizer, **PROMPT, mode="frozen", alpha=alpha, n_tokens=numpy.int64(1), layers="0"
        )
        assert (made.recipe.alpha, len(made.lanes["patched"].token_ids)) == (float(alpha), 1)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused() -> None:
    loaded = tiny("gpt2", torch.float32)
    larger = AutoTokenizer.from_pretrained(MODEL_DIR)
    with pytest.raises(BadInput, match=r"the tokenizer has 1,024 tokens, the model 300"):
        ask(loaded.model, larger)
    assert ask(loaded.model, make_tokenizer()).rows


def test_a_folder_that_was_written_anew_is_loaded_anew(tmp_path: Path) -> None:
    loaded = make_tiny("qwen3", torch.float32)
    for part in (loaded.model, loaded.tokenizer):
        part.save_pretrained(tmp_path / "m")
    before = icltui.describe(tmp_path / "m").fingerprint
    assert icltui.describe(loaded.model, loaded.tokenizer).fingerprint == before
    with engine_on(tmp_path / "m") as first, engine_on(str(tmp_path / "m")) as second:
        assert first is second
    with torch.no_grad():
        loaded.model.model.norm.weight.mul_(2)
    loaded.model.save_pretrained(tmp_path / "m")
    assert icltui.describe(tmp_path / "m").fingerprint != before


def test_an_error_of_the_engine_names_options_as_python_does(held: Any) -> None:
    model, tokenizer = held
    loose = cpu_offload(model.bfloat16(), execution_device=torch.device("cpu"))
    with pytest.raises(BadInput, match="use precision model, or load it with dtype float32"):
        icltui.measure(loose, tokenizer, **PROMPT, precision="float32")
