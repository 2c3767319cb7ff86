"""Memory that runs out in the middle of a pass: fewer copies at once, the same numbers, a line in the log."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from icltui.api import run_to_result
from icltui.api.messages import GenerateEach, Measure, MeasureEnded, Progress, UnitsMeasured, Verify
from icltui.engine.hooks.out_of_memory import is_out_of_memory, run_as_fits, shortage_error
from icltui.engine.local import LocalEngine
from icltui.engine.measure import measure as measure_module
from icltui.engine.measure.layer_rows import LayerRows
from icltui.engine.models import memory_estimate
from icltui.values.errors import EngineError, OutOfMemory
from icltui.values.prompt import Prompt
from icltui.values.recipe import Recipe
from tests.engine.small_models import make_tiny

CONTEXT, QUERY = "abcdefghijklmnopqrstuvw", " tu"
N_COPIES, Q, LAYERS = len(CONTEXT) + 1, len(QUERY), 3
FULL = torch.OutOfMemoryError(
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB"
)
ERRORS = {
    "cuda": FULL,
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate "
        "2147483648 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "windows": RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate 2147483648 bytes."
    ),
    "mps": RuntimeError(
        "MPS backend out of memory (MPS allocated: 17 GB). Tried to allocate 2.00 GB on pool."
    ),
    "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "python": MemoryError(),
}


class Shortage:
    """Raises in front of an attention; ``fails`` gets its layer, its number of tokens and how many were before it."""

    def __init__(
        self, engine: LocalEngine, fails: Callable[[int, int, int], bool], error: BaseException = FULL
    ):
        self.engine, self.fails, self.error = engine, fails, error
        self.n_seen = self.n_failed = 0
        self.streams: list[weakref.ref[torch.Tensor]] = []
        """What every failed pass held."""

    def __enter__(self) -> "Shortage":
        assert self.engine.loaded is not None
        blocks = self.engine.loaded.model.model.layers
        self.handles = [
            block.self_attn.register_forward_pre_hook(self._hook(layer), with_kwargs=True)
            for layer, block in enumerate(blocks)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _hook(self, layer: int) -> Callable[..., None]:
        def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            stream = args[0] if args else kwargs["hidden_states"]
            if layer == 0:
                assert not any(ref() is not None for ref in self.streams), "a failed pass is still in memory"
            self.n_seen += 1
            if self.fails(layer, stream.shape[1], self.n_seen - 1):
                self.n_failed += 1
                self.streams.append(weakref.ref(stream))
                raise type(self.error)(*self.error.args)

        return before


@pytest.fixture
def engine() -> LocalEngine:
    loaded = make_tiny("llama", torch.float64)
    return LocalEngine(loaded, loaded.describe("packed"))


def run(engine: LocalEngine, **how: Any) -> list[Any]:
    request = Measure(prompt=Prompt(context=CONTEXT, query=QUERY), **how)
    return list(engine.run(request, lambda: False))


def rows_of(events: list[Any]) -> dict[tuple[int, int], Any]:
    return {(row.unit, row.layer): row for e in events if isinstance(e, UnitsMeasured) for row in e.rows}


def predictions_of(events: list[Any]) -> dict[int, Any]:
    return {p.unit: p for e in events if isinstance(e, UnitsMeasured) for p in e.predictions}


def lines_of(events: list[Any]) -> list[str]:
    return [event.stage for event in events if isinstance(event, Progress) and event.logged]


def numbers(record: Any) -> list[float]:
    values = [getattr(record, name) for name in record.__struct_fields__]
    return [value for value in values if isinstance(value, float)]


def numbers_in(pairs: Any) -> list[float]:
    flat = [
        x for name in pairs.__struct_fields__ if isinstance(rows := getattr(pairs, name), tuple) for x in rows
    ]
    return [number for row in flat for number in (row if isinstance(row, tuple) else (row,))]


def assert_same(events: list[Any], wanted: list[Any]) -> None:
    """The same rows and predictions, each unit's rows once."""
    rows = [(row.unit, row.layer) for e in events if isinstance(e, UnitsMeasured) for row in e.rows]
    assert rows == [(unit, layer) for unit in range(N_COPIES) for layer in range(LAYERS)]
    for got, of in ((rows_of(events), rows_of(wanted)), (predictions_of(events), predictions_of(wanted))):
        assert got.keys() == of.keys()
        for key, record in got.items():
            assert numbers(record) == pytest.approx(numbers(of[key]), rel=1e-6, abs=1e-9), key
    assert isinstance(events[-1], MeasureEnded)


@contextmanager
def copies_in_a_chunk(monkeypatch, n: int) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(memory_estimate, "CHUNK_TOKENS", n * Q)
        yield


@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("kth", [0, 1, 2])
def test_a_chunk_that_does_not_fit_is_halved_and_the_numbers_are_those_of_half_chunks(
    engine, layer, kth, monkeypatch
):
    """At the k-th chunk, at any layer: the rows are bit for bit those of a run in chunks of that size from there on."""
    n_chunks = []

    def fails(at: int, tokens: int, _: int) -> bool:
        if at == layer and tokens == 6 * Q:
            n_chunks.append(at)
            return len(n_chunks) == kth + 1
        return False

    with copies_in_a_chunk(monkeypatch, 3):
        wanted = run(engine)
    with copies_in_a_chunk(monkeypatch, 6), Shortage(engine, fails) as shortage:
        events = run(engine)
    assert shortage.n_failed == 1
    assert lines_of(events) == [
        "the memory does not suffice for 6 copies of the query at once (2.15 GB more): going on with 3"
    ]
    assert_same(events, wanted)
    if kth == 0:
        assert rows_of(events) == rows_of(wanted)


@pytest.mark.parametrize("where", ["keys", "values"])
def test_the_cache_is_clean_after_a_layer_that_got_half_of_its_states(engine, where, monkeypatch):
    """The keys are in the cache and the values are not, or both are and the attention after them fails."""
    monkeypatch.setattr("icltui.engine.measure.run_prefixes.SHORT_RUN", 0)
    monkeypatch.setattr("icltui.engine.measure.run_prefixes.FIRST_CHUNK_TOKENS", 2 * Q)
    wanted, honest, n_failed = run(engine), DynamicLayer.update, []

    def update(layer, keys, values, *args, **kwargs):
        # The rest of the context, after the part that the first copies saw.
        if keys.shape[-2] > 2 and layer.is_initialized and layer.keys.shape[-2] > 0 and len(n_failed) < 2:
            n_failed.append(layer)
            if where == "values":
                honest(layer, keys, values, *args, **kwargs)
            else:
                layer.keys = torch.cat([layer.keys, keys], dim=-2)
            raise FULL
        return honest(layer, keys, values, *args, **kwargs)

    monkeypatch.setattr(DynamicLayer, "update", update)
    events = run(engine)
    assert len(n_failed) == 2
    assert len(lines_of(events)) == 2
    assert_same(events, wanted)


WAYS = [{}, {"reference": "local"}, {"dynamics": "drop", "reference": "local"},
        {"dynamics": "shrink", "reference": "local"}]  # fmt: skip


@pytest.mark.parametrize(
    ("how", "early"),
    [
        ({}, True),
        ({"dynamics": "drop", "reference": "local"}, False),
        *(pytest.param(how, early, marks=pytest.mark.soak) for how in WAYS for early in (False, True)),
    ],
)
def test_down_to_one_copy_at_every_chunk(engine, how, early, monkeypatch):
    """Never more than one copy fits: the first chunk finds that out, and the later ones are as small."""
    if early:
        monkeypatch.setattr("icltui.engine.measure.run_prefixes.SHORT_RUN", 0)
    prompt = Prompt(context=CONTEXT, query=QUERY, positions="keep")
    request = Measure(prompt=prompt, **how)
    wanted = list(engine.run(request, lambda: False))
    with Shortage(engine, lambda layer, tokens, _: layer == 1 and tokens > Q) as shortage:
        # What is no chunk of copies, such as the context, finds room in pieces.
        events = list(engine.run(request, lambda: False))
    assert shortage.n_failed >= 4
    assert any("copies" in line and line.endswith("going on with 1") for line in lines_of(events))
    assert_same(events, wanted)


def test_the_context_itself_runs_in_pieces(engine):
    wanted = run(engine)
    with Shortage(engine, lambda _, tokens, __: tokens > 11) as shortage:
        events = run(engine)
    assert shortage.n_failed
    assert "tokens of the context at once" in lines_of(events)[0]
    assert_same(events, wanted)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_one_plain_line_where_not_even_one_copy_fits_and_the_engine_stays_usable(engine, error, monkeypatch):
    wanted, prompt = run(engine), Prompt(context=CONTEXT, query=QUERY)
    monkeypatch.setattr(memory_estimate, "CHUNK_TOKENS", 6 * Q)
    n_rows = 0  # the context runs, a chunk comes, and then nothing fits any more
    events = engine.run(Measure(prompt=prompt), lambda: False)
    with Shortage(engine, lambda layer, *_: layer == 2 and n_rows > 0, error):
        while n_rows == 0:
            event = next(events)
            n_rows = len(event.rows) if isinstance(event, UnitsMeasured) else 0
        with pytest.raises(OutOfMemory) as raised:
            list(events)
    assert n_rows == 5 * LAYERS
    assert "\n" not in (line := str(raised.value))
    assert line.startswith("out of memory: ")
    assert "shorten the context" in line
    assert " were free: " in line or " are free: " in line
    del raised
    assert_same(run(engine), wanted)
    assert run_to_result.verify(engine, Verify(prompt=prompt)).ok


def test_the_line_says_what_was_needed():
    line = str(shortage_error(FULL, 3 * 2**29))
    assert line == (
        "out of memory: 2.15 GB more were needed and 1.61 GB were free: shorten the context, choose fewer layers, "
        "or load a smaller model or dtype"
    )
    assert str(shortage_error(MemoryError())).startswith("out of memory: shorten the context")


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_whoever_says_it(error):
    caused = EngineError("the pass fails")
    caused.__cause__ = error
    assert is_out_of_memory(error)
    assert is_out_of_memory(caused)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("x"), EngineError("out")]
)
def test_other_errors_are_not_tried_again(error):
    calls = []

    def fails(n: int) -> None:
        calls.append(n)
        raise error

    with pytest.raises(type(error)):
        run_as_fits(fails, 8, "rows")
    assert calls == [8]


def test_rows_that_do_not_fit_come_in_parts_and_none_twice(engine, monkeypatch):
    """The numbers of a chunk are made again from where they were, at half of its units."""
    honest, failed = measure_module.predict, []

    def predict(vocabulary, units, logits, full):
        if len(units) > 4:
            failed.append(len(units))
            raise FULL
        return honest(vocabulary, units, logits, full)

    request = Measure(prompt=Prompt(context=CONTEXT, query=QUERY), pairs=True)
    wanted = list(engine.run(request, lambda: False))
    monkeypatch.setattr(measure_module, "predict", predict)
    got = list(engine.run(request, lambda: False))
    assert failed
    assert "units at once" in lines_of(got)[0]
    assert_same(got, wanted)
    for pairs, of in zip(got[-1].pairs, wanted[-1].pairs, strict=True):
        assert numbers_in(pairs) == pytest.approx(numbers_in(of), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("dynamics", ["grow", "shrink", "drop"])
def test_a_layer_whose_numbers_fail_half_way_takes_its_units_again(engine, dynamics, monkeypatch):
    """The layers before it have taken the chunk already: they take its parts from where they were."""
    prompt = Prompt(context=CONTEXT, query=QUERY, positions="keep")
    request = Measure(prompt=prompt, dynamics=dynamics, reference="local", pairs=True)
    wanted = list(engine.run(request, lambda: False))
    honest, failed = LayerRows._matrix_norms, []

    def norms(layer, steps):
        if len(steps.delta) > 4 and layer.site.layer == 1:
            failed.append(len(steps.delta))
            raise FULL
        return honest(layer, steps)

    monkeypatch.setattr(LayerRows, "_matrix_norms", norms)
    got = list(engine.run(request, lambda: False))
    assert failed
    assert_same(got, wanted)
    for pairs, of in zip(got[-1].pairs, wanted[-1].pairs, strict=True):
        assert numbers_in(pairs) == pytest.approx(numbers_in(of), rel=1e-6, abs=1e-9)


def test_rows_of_a_batch_are_halved(engine):
    prompt = Prompt(context=CONTEXT, query=QUERY)
    queries = tuple(f" {letter}" for letter in "abcdefgh")
    request = GenerateEach(prompt=prompt, queries=queries, n_tokens=3, recipe=Recipe(mode="per-step"))
    wanted = run_to_result.generate_each(engine, request)
    n_rows: list[int] = []
    assert engine.loaded is not None

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stream = args[0] if args else kwargs["hidden_states"]
        n_rows.append(stream.shape[0])
        if stream.shape[0] > 2:
            raise FULL

    handle = engine.loaded.model.model.layers[1].self_attn.register_forward_pre_hook(before, with_kwargs=True)
    try:
        got = run_to_result.generate_each(engine, request)
    finally:
        handle.remove()
    assert sorted({*n_rows}) == [1, 2, 4, 8]
    for one, of in zip(got, wanted, strict=True):
        assert {name: lane.token_ids for name, lane in one.lanes.items()} == {
            name: lane.token_ids for name, lane in of.lanes.items()
        }


def test_nothing_of_a_failed_job_stays_in_memory(engine):
    """The error keeps no frame, and so no tensor, of the pass that failed."""
    prompt = Prompt(context=CONTEXT, query=QUERY)
    with Shortage(engine, lambda layer, *_: layer == 2) as shortage:
        with pytest.raises(OutOfMemory) as raised:
            list(engine.run(Measure(prompt=prompt), lambda: False))
        gc.collect()
        assert shortage.streams
        assert all(ref() is None for ref in shortage.streams), raised.value
