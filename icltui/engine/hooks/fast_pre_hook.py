"""A forward pre-hook that is quick to install and to remove, as a patch does at every layer for every token.

Enters: a module, and a hook that sees, and may change, the arguments of its forward. While it is installed it replaces
the module's forward; afterwards the module has its own forward object again.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

from torch import nn

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""A forward's positional and keyword arguments."""
PreHook = Callable[[Any, Any], Arguments | None]
"""Called with the positional and the keyword arguments; None leaves them as they are."""


class FastPreHook:
    """One hook before one module, prepared once and installed often.

    torch's own pre-hooks, registered and removed for each token, would cost more than the patch itself. Where
    several are installed before one module, the first one calls the others, in the order of their installation.
    """

    def __init__(self, module: nn.Module, hook: PreHook) -> None:
        self.attributes, self.hook = vars(module), hook
        self.hooks = [hook]
        """All hooks installed before the module, if this one is the first of them."""
        self.class_forward = self.forward = MethodType(type(module).forward, module)

    def install(self) -> None:
        """Call the hook before each of the module's forwards, until it is removed."""
        first = self.attributes.get("forward")
        if isinstance(first, FastPreHook):
            first.hooks.append(self.hook)
            return
        if first is not None:  # a forward of the instance's own, such as accelerate's, to be put back
            self.forward = first
        self.attributes["forward"] = self

    def remove(self) -> None:
        """Stop calling the hook; it can be installed again."""
        first = self.attributes["forward"]
        if first is self and len(self.hooks) == 1 and self.forward is self.class_forward:  # almost every time
            del self.attributes["forward"]
            return
        first.hooks.remove(self.hook)
        if not first.hooks:
            first._restore_forward()

    def _restore_forward(self) -> None:
        if self.forward is self.class_forward:
            del self.attributes["forward"]
        else:
            self.attributes["forward"] = self.forward
        self.forward, self.hooks = self.class_forward, [self.hook]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook in self.hooks:
            changed = hook(args, kwargs)
            if changed is not None:
                args, kwargs = changed
        return self.forward(*args, **kwargs)
