"""The blocks below a patch, which give the same in every run without the context and so need not run again.

Enters: blocks, and a run of the model. Leaves: a :class:`LowerBlocks`; while they are skipped each gives at once
what the last of them gave in that run. A model in which this changes a logit gets none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

Run = Callable[[], Float[Tensor, "rows positions vocabulary"]]


@dataclass(frozen=True)
class LowerBlocks:
    """Blocks, lowest first, and the output of the last one."""

    blocks: Sequence[nn.Module]
    output: Any

    @contextmanager
    def skipped(self) -> Iterator[None]:
        """A block in which they do not run."""
        try:
            for block in self.blocks:
                block.forward = self._give
            yield
        finally:
            for block in self.blocks:
                block.__dict__.pop("forward", None)

    def _give(self, *_: Any, **__: Any) -> Any:
        return _copied(self.output)


def lower_blocks(blocks: Sequence[nn.Module], run: Run) -> LowerBlocks | None:
    """The blocks as ``run`` leaves them; None where there are none, or skipping them changes the logits.

    Blocks whose forward was replaced before, as accelerate does to move weights, are run each time.
    """
    found = _checked(blocks, blocks[-1:], run)
    return found[0] if found else None


def all_lower_blocks(blocks: Sequence[nn.Module], run: Run) -> list[LowerBlocks]:
    """The lowest block, the lowest two, and so on; empty where :func:`lower_blocks` gives none."""
    return _checked(blocks, blocks, run)


def _checked(blocks: Sequence[nn.Module], kept: Sequence[nn.Module], run: Run) -> list[LowerBlocks]:
    """Every block of ``kept`` with those below it, ``kept`` ending with the last one."""
    if not blocks or any("forward" in block.__dict__ for block in blocks):
        return []
    seen: list[tuple[nn.Module, Any]] = []
    handles = [
        block.register_forward_hook(lambda block, _, output: seen.append((block, _copied(output))))
        for block in kept
    ]
    try:
        wanted = run()
    finally:
        for handle in handles:
            handle.remove()
    if [block for block, _ in seen] != [*kept]:
        return []
    n = len(blocks) - len(kept) + 1
    lower = [LowerBlocks(blocks[: n + k], output) for k, (_, output) in enumerate(seen)]
    with lower[-1].skipped():
        found = run()
    return lower if torch.equal(found, wanted) else []


def _copied(output: Any) -> Any:
    """A copy of the tensors, which a patch may change in place."""
    if isinstance(output, Tensor):
        return output.clone()
    return type(output)(map(_copied, output)) if type(output) in (tuple, list) else output
