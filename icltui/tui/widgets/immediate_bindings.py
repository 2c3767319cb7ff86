"""Bindings of an editor that run in the order in which the keys were typed, however fast they come.

Textual's editors insert a letter at once, but a binding is looked up only after the key has bubbled to the application:
of ``ab``, two backspaces and ``cd`` in one read, the backspaces would delete ``cd``.
"""

from textual.events import Key
from textual.widget import Widget


class ImmediateBindings(Widget):
    """An editor that runs the action of a bound key before it handles the next key."""

    async def _on_key(self, event: Key) -> None:
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return
