"""How long-running work reports its progress: one protocol, whose argument is always called ``on_progress``."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class ProgressCallback(Protocol):
    """Called before each step of long work, and free to raise, which stops that work."""

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> object:
        """``stage`` says what is done at the moment; ``done`` of ``total`` steps or bytes, 0 of 0 where not known."""


def ignore_progress(stage: str, done: int = 0, total: int = 0) -> None:
    """The default where nobody watches."""
