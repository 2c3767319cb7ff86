"""A hook before a module that costs next to nothing to open and to shut, as a patch must do for every token.

Enters: a module, and what is to see, and may change, the arguments that it is handed. The module's forward stands aside
while the door is open, and is put back as the same object afterwards.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

from torch import nn

Tensors = tuple[tuple[Any, ...], dict[str, Any]]
"""A module's arguments, by place and by name."""
PreHook = Callable[[Any, Any], Tensors | None]
"""Returning None leaves them as they are."""


class Door:
    """A hook before one module, prepared once: sees, and may change, what the module is handed while it is open.

    It stands in for the module's forward: torch's own pre-hooks, registered and removed for each token, would cost more
    than what a patch does there. Of several doors before a module the first opened hooks first.
    """

    def __init__(self, module: nn.Module, hook: PreHook) -> None:
        self.names, self.hook, self.hooks = vars(module), hook, [hook]
        """``hooks``: of all open doors before the module, if this one is the first."""
        self.usual = self.forward = MethodType(type(module).forward, module)

    def open(self) -> None:
        first = self.names.get("forward")
        if isinstance(first, Door):
            first.hooks.append(self.hook)
            return
        if first is not None:  # a forward of the instance's own, such as accelerate's, to be put back
            self.forward = first
        self.names["forward"] = self

    def remove(self) -> None:
        first = self.names["forward"]
        if first is self and len(self.hooks) == 1 and self.forward is self.usual:  # nearly always
            del self.names["forward"]
            return
        first.hooks.remove(self.hook)
        if not first.hooks:
            first.leave()

    def leave(self) -> None:
        """Put back what was there; the door can be opened again."""
        if self.forward is self.usual:
            del self.names["forward"]
        else:
            self.names["forward"] = self.forward
        self.forward, self.hooks = self.usual, [self.hook]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook in self.hooks:
            changed = hook(args, kwargs)
            if changed is not None:
                args, kwargs = changed
        return self.forward(*args, **kwargs)
