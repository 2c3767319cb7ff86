"""The explorer: a Textual application over :class:`icltui.api.engine.Client`; it never sees a tensor.

``state`` knows and decides, ``actions`` names what a user can do, ``draw`` turns values into text and cells,
``widgets`` and ``dialogs`` show them, ``main`` is the screen that holds them, ``system`` and ``terminal`` deal with the
machine around it.
"""
