"""Keys of an editor in the order in which they were typed, however close together they come.

Textual has a widget insert a letter at once, but looks up what a key is bound to only when it has bubbled to the
application: of ``ab``, two backspaces and ``cd`` in one read, the backspaces would delete ``cd``.
"""

from textual.events import Key
from textual.widget import Widget


class ImmediateBindings(Widget):
    """Does what a key is bound to here before the next key comes."""

    async def _on_key(self, event: Key) -> None:
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return
