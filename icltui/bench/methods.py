"""The methods that are timed: our packed pass, our loop, and what public tools offer.

A model and a prompt enter; a :class:`MethodResult` leaves: ‖δ‖, ‖ΔW‖ and h at every layer for each prefix. Every method
but the script uses the closed form ‖ΔW_i‖ = ‖W δ_i‖/‖z_0‖ ([1], proposition 3.1).

The public methods differ only in how they read z: by hooks, nnsight or TransformerLens. Each runs a forward pass per
prefix, or prefixes in batches, padded on the right, where causal attention does not look.
"""

import copy
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
from icltui.bench.model_and_prompts import BenchModel, TokenPrompt
from icltui.engine.local import LocalEngine
from icltui.values import Path, Row
from icltui.values.errors import EngineError

BATCH = 16
"""Prefixes in a padded batch."""
SAMPLED_PREFIXES = 4
"""Prefixes that a method is timed on where all of them would take too long."""

FIGURES = ("‖δ‖", "‖ΔW‖", "h")
"""The numbers of each prefix at each layer: see :class:`icltui.values.Row`."""


@dataclass(frozen=True)
class MethodResult:
    """The numbers that a method found for ``units``."""

    units: tuple[int, ...]
    figures: Tensor
    """``FIGURES``, (units, layers, 3)."""
    first: float | None = None
    """Seconds until the first rows; None if all come at the end."""
    scale: float = 1.0
    """Time of all prefixes over the time of those that were run."""


RunMethod = Callable[[TokenPrompt], MethodResult | None]
"""Runs the method once; returns None if it only marks a time and finds no numbers."""
Observe = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""ids (rows, tokens), last positions (rows,) → z at these (rows, layers, hidden), next tokens (rows,)."""


@dataclass(frozen=True)
class Method:
    """One method; ``prepare`` does its work of once per model."""

    name: str
    prepare: Callable[[BenchModel], RunMethod]
    needs: str | None = None
    """The package that it needs."""

    @property
    def is_here(self) -> bool:
        return self.needs is None or find_spec(self.needs) is not None


def packed_or_loop(bench_model: BenchModel, path: Path) -> RunMethod:
    """Our engine, packed or with a forward pass per prefix."""
    assert bench_model.engine.info is not None
    engine = LocalEngine(
        bench_model.engine.loaded, msgspec.structs.replace(bench_model.engine.info, path=path)
    )

    def run(prompt: TokenPrompt) -> MethodResult:
        start, first, rows = bench_model.clock(), None, list[Row]()
        for event in engine.run(Measure(prompt=prompt.prompt), lambda: False):
            if isinstance(event, UnitsMeasured):
                first = first or bench_model.clock() - start
                rows += event.rows
        return _from_rows(rows, len(bench_model.sites), first)

    return run


def _from_rows(rows: list[Row], n_layers: int, first: float | None) -> MethodResult:
    kept = sorted((row for row in rows if row.unit), key=lambda row: (row.unit, row.layer))
    values = [(row.delta_norm, row.patch_norm, row.learning_rate) for row in kept]
    figures = torch.tensor([[torch.nan if x is None else x for x in row] for row in values])
    return MethodResult(tuple(row.unit for row in kept[::n_layers]), figures.view(-1, n_layers, 3), first)


def plain_forward(bench_model: BenchModel, every_copy: bool = False) -> RunMethod:
    """One plain forward pass of as many tokens as the packed measure runs; it has no answer.

    Logits are of the last token alone, or with ``every_copy`` of as many tokens as the measure has copies. A model that
    has not so many positions is given rows of equal length.
    """

    def run(prompt: TokenPrompt) -> None:
        tokens = [*prompt.prefix, *prompt.context, *prompt.query * (prompt.n + 1)]
        n_rows = -(-len(tokens) // (bench_model.loaded.window or len(tokens)))
        row = torch.tensor(tokens[: len(tokens) // n_rows * n_rows], device=bench_model.model.device)
        kept = -(-(prompt.n + 1) // n_rows) if every_copy else 1
        output = bench_model.model(row.view(n_rows, -1), use_cache=False, logits_to_keep=kept)
        output.logits.argmax(-1).tolist()

    return run


def hooks(bench_model: BenchModel, is_careful: bool = False) -> Observe:
    """A forward pre-hook on each MLP, and ``model(ids)``, which a careful user asks for no more than is needed."""

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        kept: list[Tensor] = []
        handles = [
            site.mlp.register_forward_pre_hook(lambda _, args: kept.append(args[0][rows, last]))
            for site in bench_model.sites
        ]
        try:
            logits = bench_model.model(ids, **(_cheap(ids) if is_careful else {})).logits
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(kept, dim=1), logits[rows, last - ids.shape[1] + logits.shape[1]].argmax(-1)

    return observe


def nnsight(bench_model: BenchModel) -> Observe:
    """nnsight: one trace of the wrapped model."""
    library = import_module("nnsight")
    model = library.NNsight(bench_model.model)
    names = {module: name for name, module in bench_model.model.named_modules()}
    mlps = [attrgetter(names[site.mlp])(model) for site in bench_model.sites]

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        with model.trace(ids, **_cheap(ids)):
            kept = library.save([])
            for mlp in mlps:
                kept.append(mlp.input[rows, last])
            logits = model.output.logits
            top = logits[rows, last - ids.shape[1] + logits.shape[1]].argmax(-1).save()
        return torch.stack(kept, dim=1), top

    return observe


def transformer_lens(bench_model: BenchModel) -> Observe:
    """TransformerLens: ``run_with_cache`` of a bridge to a copy of the model, whose attention becomes eager."""
    bridges = import_module("transformer_lens.model_bridge")
    bridge = bridges.TransformerBridge.boot_transformers(
        bench_model.name,
        hf_model=copy.deepcopy(bench_model.model),
        tokenizer=copy.deepcopy(bench_model.loaded.tokenizer),
        dtype=bench_model.loaded.dtype,
        device=str(bench_model.model.device),
    )
    names = [f"blocks.{layer}.mlp.hook_in" for layer in range(len(bench_model.sites))]

    def observe(ids: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(ids), device=ids.device)
        logits, cache = bridge.run_with_cache(ids, names_filter=names, **_cheap(ids))
        top = logits[rows, last - ids.shape[1] + logits.shape[1]].argmax(-1)
        return torch.stack([cache[name][rows, last] for name in names], dim=1), top

    return observe


def _cheap(ids: Tensor) -> dict[str, int | bool]:
    """Arguments that a careful user also passes: no cache; for a single row, logits of its last token alone."""
    return {"use_cache": False} | ({"logits_to_keep": 1} if len(ids) == 1 else {})


def prefix_by_prefix(
    bench_model: BenchModel, observer: Callable[[BenchModel], Observe], batch: int = 1
) -> RunMethod:
    """A forward pass per ``batch`` prefixes, then the closed forms."""
    observe = observer(bench_model)

    def run(prompt: TokenPrompt) -> MethodResult:
        figures: list[Tensor] = []
        before = reference = _observed(bench_model, observe, [prompt.row(0)])
        for z in _states(bench_model, observe, prompt, batch):
            figures.append(_figures(bench_model, z, z - torch.cat([before, z[:-1]]), reference))
            before = z[-1:]
        return MethodResult(tuple(range(prompt.begin, prompt.n + 1)), torch.cat(figures).cpu())

    return run


def _figures(bench_model: BenchModel, z: Tensor, delta: Tensor, reference: Tensor) -> Tensor:
    """``FIGURES`` of some prefixes in closed form, ΔW never formed; tensors are (prefixes, layers, hidden)."""
    moved = [
        torch.cat([delta[:, k] @ weight.T for weight in weights], dim=-1).norm(dim=-1)
        for k, weights in enumerate(bench_model.matrices)
    ]
    patch = torch.stack(moved, dim=-1) / reference.norm(dim=-1)
    return torch.stack([delta.norm(dim=-1), patch, z.norm(dim=-1) ** -2], dim=-1)


def _states(bench_model: BenchModel, observe: Observe, prompt: TokenPrompt, batch: int) -> Iterator[Tensor]:
    for begin in range(prompt.begin, prompt.n + 1, batch):
        rows = [prompt.row(i) for i in range(begin, min(begin + batch, prompt.n + 1))]
        yield _observed(bench_model, observe, rows)


def _observed(bench_model: BenchModel, observe: Observe, rows: Sequence[list[int]]) -> Tensor:
    """z of each row at its last token; rows are in ascending length."""
    device = bench_model.model.device
    ids = torch.tensor([[*row, *[0] * (len(rows[-1]) - len(row))] for row in rows], device=device)
    last = torch.tensor([len(row) - 1 for row in rows], device=device)
    z, top = observe(ids, last)
    top.tolist()  # the next tokens are wanted too
    return z


def sampled(bench_model: BenchModel, observer: Callable[[BenchModel], Observe]) -> RunMethod:
    """A forward pass per prefix, then the closed forms, of a few prefixes and those before them."""
    return _sample(bench_model, observer(bench_model), _figures, 2)


def script_with_svd(bench_model: BenchModel) -> RunMethod:
    """The way of public scripts: per prefix one run with and one without its last unit, ΔW formed, its rank by SVD."""

    def formed(bench_model: BenchModel, z: Tensor, delta: Tensor, reference: Tensor) -> Tensor:
        patch = torch.stack(
            [_formed(bench_model, k, delta[0, k], reference[0, k]) for k in range(z.shape[1])]
        )
        return torch.stack([delta.norm(dim=-1)[0], patch, z[0].norm(dim=-1) ** -2], dim=-1)[None]

    return _sample(bench_model, hooks(bench_model), formed, 1)


def _sample(
    bench_model: BenchModel, observe: Observe, figures_of: Callable[..., Tensor], runs_counted: int
) -> RunMethod:
    """``figures_of`` evenly spread prefixes, each compared with the prefix before it.

    ``runs_counted``: 2 where a method over all prefixes would find the one before from its own turn, else 1.
    """

    def run(prompt: TokenPrompt) -> MethodResult:
        count = min(SAMPLED_PREFIXES, prompt.n)
        units = [max(1, prompt.n * (2 * k + 1) // (2 * count)) for k in range(count)]
        reference = _observed(bench_model, observe, [prompt.row(0)])
        found = []
        for unit in units:
            without, z = (_observed(bench_model, observe, [prompt.row(i)]) for i in (unit - 1, unit))
            found.append(figures_of(bench_model, z, z - without, reference))
        return MethodResult(
            tuple(units), torch.cat(found).cpu(), scale=(prompt.n + 1) / (runs_counted * count)
        )

    return run


def _formed(bench_model: BenchModel, layer: int, delta: Tensor, z: Tensor) -> Tensor:
    """‖ΔW‖ of one layer, each ΔW = (W δ) zᵀ/‖z‖² formed and its rank taken.

    Raises:
        EngineError: a rank other than 1.
    """
    updates = [torch.outer(weight @ delta, z) / z.norm() ** 2 for weight in bench_model.matrices[layer]]
    for update in updates:
        rank = int(torch.linalg.matrix_rank(update))
        if rank != 1:
            raise EngineError(f"an update of rank {rank} at layer {layer}: 1 was expected")
    norm: Tensor = torch.cat(updates).norm()
    return norm


OURS, FLOOR, FLOOR_EVERY_COPY = "packed", "plain forward", "plain forward, n + 1 logits"
METHODS = (
    Method(OURS, partial(packed_or_loop, path="packed")),
    Method(FLOOR, plain_forward),
    Method("our loop", partial(packed_or_loop, path="loop")),
    Method("hooks", partial(prefix_by_prefix, observer=hooks)),
    Method("hooks, batched", partial(prefix_by_prefix, observer=hooks, batch=BATCH)),
    Method("nnsight", partial(prefix_by_prefix, observer=nnsight), "nnsight"),
    Method("nnsight, batched", partial(prefix_by_prefix, observer=nnsight, batch=BATCH), "nnsight"),
    Method("TransformerLens", partial(prefix_by_prefix, observer=transformer_lens), "transformer_lens"),
    Method(
        "TransformerLens, batched",
        partial(prefix_by_prefix, observer=transformer_lens, batch=BATCH),
        "transformer_lens",
    ),
    Method("script with SVD", script_with_svd),
)
"""Ours first: the numbers of the others are compared with its own."""

SAMPLED = (
    Method("hooks, sampled", partial(sampled, observer=partial(hooks, is_careful=True))),
    Method("nnsight, sampled", partial(sampled, observer=nnsight), "nnsight"),
    Method("TransformerLens, sampled", partial(sampled, observer=transformer_lens), "transformer_lens"),
)
"""Methods with a forward pass per prefix, timed on a few prefixes."""
