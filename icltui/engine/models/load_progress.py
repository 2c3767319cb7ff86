"""Progress of a load in bytes, from the progress bars of transformers and of the hub.

Enters: the bytes of each tensor in the checkpoint, where they are known. Leaves: calls of ``on_progress``, at most
eight a second, while ``from_pretrained`` runs.
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tqdm.std import tqdm  # type: ignore[import-untyped]
from transformers.utils.logging import set_tqdm_hook

from icltui.api.progress_callback import ProgressCallback

INTERVAL = 0.125
"""Seconds between two calls."""
_WEIGHTS_BAR = "Loading weights"
"""The title of transformers' bar that steps from weight to weight."""


class LoadProgress:
    """Reports the progress of the model ``name``; ``sizes`` are bytes by tensor."""

    def __init__(
        self,
        name: str,
        sizes: Mapping[str, int],
        on_progress: ProgressCallback,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._sizes, self._on_progress, self._clock = name, sizes, on_progress, clock
        self._done, self._total = 0, sum(sizes.values())
        self._reported_at = -INTERVAL

    @contextmanager
    def counting_weights(self) -> Iterator[None]:
        """Weights that transformers reads inside the block are counted; its hook is put back afterwards."""

        def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            bar = factory(*args, **kwargs) if previous is None else previous(factory, args, kwargs)
            return self._count(bar) if kwargs.get("desc") == _WEIGHTS_BAR else bar

        previous = set_tqdm_hook(hook)
        try:
            yield
        finally:
            set_tqdm_hook(previous)

    def _count(self, weights: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Pass on each weight of the model, and count the checkpoint's tensors that it is made of."""
        for name, made_of in weights:
            yield name, made_of
            self._add(set[str]().union(*made_of.layer_targets.values()))
        self.report("loading", self._total, self._total, is_last=True)

    def count_tensors(self, tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Pass on each tensor of a GGUF, as the progress bar does that transformers draws while it unpacks them."""
        for tensor in tensors:
            yield tensor
            self._add([tensor.name])

    def _add(self, names: Iterable[str]) -> None:
        self._done += sum(self._sizes.get(name, 0) for name in names)
        self.report("loading", self._done, self._total)

    def report(self, verb: str, done: int, total: int, is_last: bool = False) -> None:
        """Report ``done`` of ``total`` bytes, unless the last report is a moment ago."""
        now = self._clock()
        if is_last or now - self._reported_at >= INTERVAL:
            self._reported_at = now
            self._on_progress(f"{verb} {self._name}", done, total)

    def download_bar(self) -> type[Any]:
        """A class of progress bars for the hub, which report here and write nothing."""
        report = self.report

        class Bar(tqdm):  # type: ignore[misc]
            monitor_interval = 0  # tqdm starts no thread for slow bars

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs | {"file": io.StringIO(), "mininterval": INTERVAL})

            def display(self, *_: Any, **__: Any) -> None:
                # The hub's bar of bytes over the wire is left out: it counts less where parts of a file are cached.
                if self.unit == "B" and "downloading bytes" not in str(self.desc).lower():
                    report("downloading", int(self.n), int(self.total or 0))

        return Bar
