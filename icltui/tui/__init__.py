"""The explorer: a Textual application over :class:`icltui.api.messages.Client`; it never sees a tensor.

``board`` gathers the numbers that stream in, ``measures`` names them, ``cells`` makes any text fit one line of a
terminal, ``ramp`` and ``plot`` turn numbers into colours and lines, ``widgets`` show them.
"""
