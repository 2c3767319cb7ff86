"""The ways to the same numbers: ours, and what the public tools give.

Enters: a subject and a task. Leaves: an :class:`Answer`, ‖δ‖, ‖ΔW‖ and h at every layer for each prefix and the most
probable next token. Every way but the script's uses the closed form ‖ΔW_i‖ = ‖W δ_i‖/‖z_0‖ ([1], proposition 3.1).

The public ways differ only in who stands at z: hooks, nnsight, TransformerLens. Each runs a forward per prefix, or
prefixes in batches, padded behind, where causal attention does not look.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter

import msgspec
import torch
from torch import Tensor

from icltui.api.messages import Measure, UnitsMeasured
from icltui.bench.workload import Subject, Task
from icltui.engine.local import LocalEngine
from icltui.values import Path, Row
from icltui.values.errors import EngineError

BATCH = 16
"""Prefixes in a padded batch."""
SCRIPT_PREFIXES = 4
"""Prefixes that the script's way is measured on."""

FIGURES = ("‖δ‖", "‖ΔW‖", "h")
"""What every way finds for each prefix at each layer, see :class:`icltui.values.Row`."""


@dataclass(frozen=True)
class Answer:
    """What a way found for ``units``."""

    units: tuple[int, ...]
    figures: Tensor
    """``FIGURES``, (units, layers, 3)."""
    first: float | None = None
    """Seconds until the first rows were there; None where all come at the end."""
    scale: float = 1.0
    """How many times as long all prefixes would take."""


Run = Callable[[Task], Answer | None]
"""Do it once. No answer: it is no way to the numbers, only a mark to measure by."""
Observe = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Rows of ids and the index of each one's last → z there (rows, layers, hidden), next tokens (rows,)."""


@dataclass(frozen=True)
class Way:
    """One way, by name; ``prepare`` does what is done once per model."""

    name: str
    prepare: Callable[[Subject], Run]
    needs: str | None = None
    """A package that must be there."""

    @property
    def is_here(self) -> bool:
        return self.needs is None or find_spec(self.needs) is not None


def ours(subject: Subject, path: Path) -> Run:
    """Our engine, packed or a forward for each prefix."""
    assert subject.engine.info is not None
    engine = LocalEngine(subject.engine.loaded, msgspec.structs.replace(subject.engine.info, path=path))

    def run(task: Task) -> Answer:
        start, first, rows = time.perf_counter(), None, list[Row]()
        for event in engine.run(Measure(prompt=task.prompt), lambda: False):
            if isinstance(event, UnitsMeasured):
                first = first or time.perf_counter() - start
                rows += event.rows
        return _from_rows(rows, len(subject.layers), first)

    return run


def _from_rows(rows: list[Row], n_layers: int, first: float | None) -> Answer:
    kept = sorted((row for row in rows if row.unit), key=lambda row: (row.unit, row.layer))
    values = [(row.delta_norm, row.patch_norm, row.learning_rate) for row in kept]
    figures = torch.tensor([[torch.nan if x is None else x for x in row] for row in values])
    return Answer(tuple(row.unit for row in kept[::n_layers]), figures.view(-1, n_layers, 3), first)


def floor(subject: Subject) -> Run:
    """One plain forward of as many tokens as the packed measure runs; it answers nothing."""

    def run(task: Task) -> None:
        row = [*task.prefix, *task.context, *task.query * (task.n + 1)]
        ids = torch.tensor([row], device=subject.model.device)
        subject.model(ids, use_cache=False, logits_to_keep=1).logits.argmax(-1).tolist()

    return run


def hooks(subject: Subject) -> Observe:
    """A forward pre-hook on each MLP, and ``model(ids)``."""

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        kept: list[Tensor] = []
        handles = [
            layer.mlp.register_forward_pre_hook(lambda _, args: kept.append(args[0][rows, last]))
            for layer in subject.layers
        ]
        try:
            logits = subject.model(ids).logits
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(kept, dim=1), logits[rows, last].argmax(-1)

    return observe


def nnsight(subject: Subject) -> Observe:
    """nnsight: one trace of the wrapped model."""
    library = import_module("nnsight")
    model = library.NNsight(subject.model)
    modules = subject.model.named_modules()
    decoder = next(name for name, module in modules if module is subject.model.get_decoder())
    layers = attrgetter(f"{decoder}.layers")(model)

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        with model.trace(ids, **_cheap(ids)):
            kept = library.save([])
            for layer in layers:
                kept.append(layer.mlp.input[rows, last])
            logits = model.output.logits
            top = logits[rows, last - ids.shape[1] + logits.shape[1]].argmax(-1).save()
        return torch.stack(kept, dim=1), top

    return observe


def transformer_lens(subject: Subject) -> Observe:
    """TransformerLens: ``run_with_cache`` of a bridge to a copy of the model, whose attention it makes eager."""
    bridges = import_module("transformer_lens.model_bridge")
    bridge = bridges.TransformerBridge.boot_transformers(
        subject.name,
        hf_model=copy.deepcopy(subject.model),
        tokenizer=copy.deepcopy(subject.tokenizer),
        dtype=torch.float32,
        device=str(subject.model.device),
    )
    names = [f"blocks.{layer}.mlp.hook_in" for layer in range(len(subject.layers))]

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        logits, cache = bridge.run_with_cache(ids, names_filter=names, **_cheap(ids))
        top = logits[rows, last - ids.shape[1] + logits.shape[1]].argmax(-1)
        return torch.stack([cache[name][rows, last] for name in names], dim=1), top

    return observe


def _cheap(ids: Tensor) -> dict[str, int | bool]:
    """What a careful user of a library says too: no cache; for a single row, logits of its last token alone."""
    return {"use_cache": False} | ({"logits_to_keep": 1} if len(ids) == 1 else {})


def prefix_by_prefix(subject: Subject, observer: Callable[[Subject], Observe], batch: int = 1) -> Run:
    """A forward for each ``batch`` prefixes, closed forms behind it."""
    observe = observer(subject)

    def run(task: Task) -> Answer:
        figures: list[Tensor] = []
        before = reference = _observed(subject, observe, [task.row(0)])
        for z in _states(subject, observe, task, batch):
            figures.append(_figures(subject, z, z - torch.cat([before, z[:-1]]), reference))
            before = z[-1:]
        return Answer(tuple(range(task.begin, task.n + 1)), torch.cat(figures).cpu())

    return run


def _figures(subject: Subject, z: Tensor, delta: Tensor, reference: Tensor) -> Tensor:
    """``FIGURES`` of some prefixes in closed form, ΔW never formed; tensors are (prefixes, layers, hidden)."""
    moved = [
        torch.cat([delta[:, k] @ weight.T for weight in weights], dim=-1).norm(dim=-1)
        for k, weights in enumerate(subject.matrices)
    ]
    patch = torch.stack(moved, dim=-1) / reference.norm(dim=-1)
    return torch.stack([delta.norm(dim=-1), patch, z.norm(dim=-1) ** -2], dim=-1)


def _states(subject: Subject, observe: Observe, task: Task, batch: int) -> Iterator[Tensor]:
    for begin in range(task.begin, task.n + 1, batch):
        rows = [task.row(i) for i in range(begin, min(begin + batch, task.n + 1))]
        yield _observed(subject, observe, rows)


def _observed(subject: Subject, observe: Observe, rows: Sequence[list[int]]) -> Tensor:
    """z of each row at its last token; rows are in ascending length."""
    device = subject.model.device
    ids = torch.tensor([[*row, *[0] * (len(rows[-1]) - len(row))] for row in rows], device=device)
    last = torch.tensor([len(row) - 1 for row in rows], device=device)
    z, top = observe(ids, last)
    top.tolist()  # the next tokens are wanted too
    return z


def script(subject: Subject) -> Run:
    """As public scripts do it: for each prefix a run with and one without its last unit, ΔW formed, its rank by SVD."""
    observe = hooks(subject)

    def run(task: Task) -> Answer:
        count = min(SCRIPT_PREFIXES, task.n)
        units = [task.n * k // count for k in range(1, count + 1)]
        reference = _observed(subject, observe, [task.row(0)])[0]
        found = []
        for unit in units:
            without, z = (_observed(subject, observe, [task.row(i)])[0] for i in (unit - 1, unit))
            delta = z - without
            patch = [_formed(subject, k, delta[k], reference[k]) for k in range(len(delta))]
            found.append(torch.stack([delta.norm(dim=-1), torch.stack(patch), z.norm(dim=-1) ** -2], dim=-1))
        return Answer(tuple(units), torch.stack(found).cpu(), scale=(task.n + 1) / count)

    return run


def _formed(subject: Subject, layer: int, delta: Tensor, z: Tensor) -> Tensor:
    """‖ΔW‖ of one layer, each ΔW = (W δ) zᵀ/‖z‖² formed and its rank taken.

    Raises:
        EngineError: a rank other than 1.
    """
    updates = [torch.outer(weight @ delta, z) / z.norm() ** 2 for weight in subject.matrices[layer]]
    for update in updates:
        rank = int(torch.linalg.matrix_rank(update))
        if rank != 1:
            raise EngineError(f"an update of rank {rank} at layer {layer}: 1 was expected")
    norm: Tensor = torch.cat(updates).norm()
    return norm


OURS, FLOOR = "packed", "plain forward"
WAYS = (
    Way(OURS, partial(ours, path="packed")),
    Way(FLOOR, floor),
    Way("our loop", partial(ours, path="loop")),
    Way("hooks", partial(prefix_by_prefix, observer=hooks)),
    Way("hooks, batched", partial(prefix_by_prefix, observer=hooks, batch=BATCH)),
    Way("nnsight", partial(prefix_by_prefix, observer=nnsight), "nnsight"),
    Way("nnsight, batched", partial(prefix_by_prefix, observer=nnsight, batch=BATCH), "nnsight"),
    Way("TransformerLens", partial(prefix_by_prefix, observer=transformer_lens), "transformer_lens"),
    Way(
        "TransformerLens, batched",
        partial(prefix_by_prefix, observer=transformer_lens, batch=BATCH),
        "transformer_lens",
    ),
    Way("script with SVD", script),
)
"""Every way, ours first: the others are held against its numbers."""
