"""Messages about the terminal: another size, its end, input that could not be read or was too long."""

from textual.message import Message


class TerminalReset(Message):
    """The terminal has another size, is another one, or was lent to others: nothing drawn before may stand there."""


class TerminalLost(Message):
    """The terminal is gone."""


class UndecodableInput(Message):
    """The terminal sent bytes that are no UTF-8.

    Args:
        n: how many.
        is_paste: in the text of a paste; otherwise as keys, of which none was made.
    """

    def __init__(self, n: int, is_paste: bool) -> None:
        super().__init__()
        self.n, self.is_paste = n, is_paste


class PasteTruncated(Message):
    """A paste was longer than what is taken at once; ``n`` characters are left out."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
