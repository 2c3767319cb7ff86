"""Messages about the terminal: another size, its end, its answers, input that could not be read or was too long."""

from textual.message import Message


class TerminalReset(Message):
    """The terminal has another size, is another one, or was lent to others: what was drawn may be gone."""


class TerminalLost(Message):
    """The terminal is gone."""


class UndecodableInput(Message):
    """The terminal sent bytes that are not UTF-8.

    Args:
        n: the number of bytes.
        is_paste: whether they were in a paste; otherwise they were keys, and are dropped.
    """

    def __init__(self, n: int, is_paste: bool) -> None:
        super().__init__()
        self.n, self.is_paste = n, is_paste


class PasteTruncated(Message):
    """A paste was too long; its last ``n`` characters are left out."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n


class TerminalReply(Message):
    """The terminal answers the question which pictures it shows.

    Args:
        text: the whole sequence, or what is in it.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
