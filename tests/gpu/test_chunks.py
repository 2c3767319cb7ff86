"""Chunks on a GPU: no wait for the device inside one, sizes from what is free, and smaller ones where it runs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from icltui.api.messages import Measure, MeasureEnded, Progress, UnitsMeasured
from icltui.engine.local import LocalEngine
from icltui.engine.measure import run_prefixes
from icltui.engine.models.device import free_bytes
from icltui.values import Row
from icltui.values.prompt import Prompt
from tests.gpu.conftest import IS_TINY, models

DENSE = pytest.mark.parametrize(
    "engine", models("bfloat16", shapes=("Qwen3-0.6B", "Llama-8B")), indirect=True, ids="-".join
)
SMALL = pytest.mark.parametrize(
    "engine", models("float32", shapes=("Qwen3-0.6B",)), indirect=True, ids="-".join
)
N = 120 if IS_TINY else 1024
REQUEST = Measure(prompt=Prompt(context="abcdefgh" * (N // 8), query="the query"))


class Waits(TorchDispatchMode):
    """Raises where a number is read on the host, as a GPU must be waited for there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "_local_scalar_dense" in str(func) or "nonzero" in str(func):
            raise RuntimeError(f"{func} waits for the device")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_waits() -> Iterator[None]:
    """Inside the block an operation that waits for the device is an error, which names it."""
    if IS_TINY:
        with Waits():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@DENSE
def test_nothing_inside_a_chunk_waits_for_the_device(engine: LocalEngine) -> None:
    """From the first block of each pass to the last, with every hook of a measure at work."""
    assert engine.loaded is not None
    first, last = engine.loaded.sites[0].block, engine.loaded.sites[-1].block
    open_blocks: list[Any] = []
    passes = []

    def begin(*_: Any) -> None:
        passes.append(1)
        open_blocks.append(no_waits())
        open_blocks[-1].__enter__()

    def end(*_: Any) -> None:
        if open_blocks:
            open_blocks.pop().__exit__(None, None, None)

    handles = [first.register_forward_pre_hook(begin), last.register_forward_hook(end, always_call=True)]
    try:
        rows = rows_of(run(engine))
    finally:
        while open_blocks:
            end()
        for handle in handles:
            handle.remove()
    assert len(passes) >= 2
    assert len(rows) == (N + 1) * engine.loaded.n_layers


def run(engine: LocalEngine) -> list[Any]:
    return list(engine.run(REQUEST, lambda: False))


def rows_of(events: list[Any]) -> list[Row]:
    assert isinstance(events[-1], MeasureEnded)
    return [row for event in events if isinstance(event, UnitsMeasured) for row in event.rows]


def lines_of(events: list[Any]) -> list[str]:
    return [event.stage for event in events if isinstance(event, Progress) and event.logged]


def assert_same(got: list[Row], wanted: list[Row]) -> None:
    """The same units and layers, and ‖δ‖ of each layer to a thousandth of its largest."""
    assert [(row.unit, row.layer) for row in got] == [(row.unit, row.layer) for row in wanted]
    for layer in {row.layer for row in wanted}:
        ours, theirs = (
            torch.tensor([row.delta_norm or 0.0 for row in of if row.layer == layer]) for of in (got, wanted)
        )
        assert (ours - theirs).abs().max() <= 1e-3 * theirs.max()


@contextmanager
def less_memory(engine: LocalEngine, share: float) -> Iterator[None]:
    """The allocator gets ``share`` of what a measure took beside the model; the driver says that more is free."""
    assert engine.loaded is not None
    if IS_TINY:  # a pass of more tokens than this fails in the middle
        most = int(share * 250)
        handle = engine.loaded.sites[1].block.register_forward_pre_hook(
            lambda _, args, kwargs: fail((args[0] if args else kwargs["hidden_states"]).shape[1], most),
            with_kwargs=True,
        )
        try:
            yield
        finally:
            handle.remove()
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    run(engine)
    taken = torch.cuda.max_memory_allocated() - held
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + share * taken) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def fail(tokens: int, most: int) -> None:
    if tokens > most:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@SMALL
@pytest.mark.parametrize("share", [0.75, 0.5])
def test_memory_that_runs_out_is_met_by_smaller_chunks(engine: LocalEngine, share: float) -> None:
    wanted = rows_of(run(engine))
    with less_memory(engine, share):
        events = run(engine)
    assert lines_of(events), "the memory sufficed, so that nothing was tried"
    assert all("going on with" in line for line in lines_of(events))
    assert_same(rows_of(events), wanted)
    again = run(engine)
    assert not lines_of(again)
    assert_same(rows_of(again), wanted)


@SMALL
def test_a_chunk_is_chosen_by_what_is_free(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a ballast the first chunk is small from the start, and nothing runs out."""
    assert engine.loaded is not None
    chosen: list[int] = []
    honest = run_prefixes.tokens_per_chunk
    monkeypatch.setattr(
        run_prefixes, "tokens_per_chunk", lambda *args: chosen.append(honest(*args)) or chosen[-1]
    )
    wanted = rows_of(run(engine))
    if IS_TINY:
        monkeypatch.setattr(run_prefixes, "free_bytes", lambda _: 2**22)
        ballast = None
    else:
        free = free_bytes(engine.loaded.device)
        ballast = torch.empty(max(0, free - 2 * 2**30), dtype=torch.uint8, device="cuda")
    try:
        events = run(engine)
    finally:
        del ballast
        torch.cuda.empty_cache()
    assert chosen[1] < chosen[0]
    assert not lines_of(events)
    assert_same(rows_of(events), wanted)
