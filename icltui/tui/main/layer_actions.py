"""Ticking layers on the explorer's screen: those that the next run measures and patches."""

from icltui.tui.main.actions_base import ScreenActions


class LayerActions(ScreenActions):
    """Ticks of layers. They are read from the explorer, since what is drawn may be older."""

    def action_toggle_layer(self) -> None:
        """Tick or untick the selected layer."""
        self.toggle(self._cursor.shown_layer)

    def action_tick_layers(self, which: str) -> None:
        """Tick all layers, none, or the others."""
        everything = set(range(self._explorer.n_layers)) - self._explorer.refused.keys()
        self._tick({"all": everything, "none": set(), "invert": everything - {*self._explorer.ticked}}[which])

    def action_tick_upwards(self) -> None:
        """Tick the selected layer and all later ones."""
        later = range(self._cursor.shown_layer, self._explorer.n_layers)
        self._tick(set(later) - self._explorer.refused.keys())

    def action_type_layers(self) -> None:
        """Tick layers by range, typed."""
        if self._explorer.n_layers:
            self._begin(self._type_layers)
        else:
            self._explorer.say("the layers are known once the model is loaded")

    def action_change_layer_alpha(self, step: float) -> None:
        """Make the selected layer's patch stronger or weaker."""
        self._explorer.change_layer_alpha(self._cursor.shown_layer, step)

    async def _type_layers(self) -> None:
        from icltui.tui.dialogs.ask_text import AskTextDialog

        explorer = self._explorer
        hint = f"all, none, last, or a list such as 0,3,5-{explorer.n_layers - 1}"
        question = AskTextDialog("Layers", explorer.settings.layers, hint, explorer.layers_of)
        if (text := await self._ask(question)) is not None:
            self._tick(set(explorer.layers_of(text)))

    def toggle(self, layer: int) -> None:
        """Tick a layer that is not, or the other way round."""
        self._tick({*self._explorer.ticked} ^ {layer})

    def _tick(self, layers: set[int]) -> None:
        if self._explorer.n_layers:
            self._explorer.choose_layers(layers)
