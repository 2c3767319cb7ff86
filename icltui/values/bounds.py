"""How much a file or a peer may claim: a bound for each kind of whole number, in one place and with its reason.

Every whole number of a session or of a message is of one of these types, so that whatever decodes it refuses what is
beyond before anything is allocated, drawn or computed from it. Decimal numbers need none: nothing is counted by them,
and the decoder takes only those that a float holds.
"""

from typing import Annotated

from msgspec import Meta

LAYERS = 4096
"""Of a model: the deepest ones published have a thousand. Each is a line on the screen, and ticked by itself."""
WIDTH = 2**20
"""Of a hidden state: twenty times that of the widest models."""
TOKENS = 2**24
"""In one text, and so of its units, of a patch's rank and of a continuation: no model reads as many at once."""
VOCABULARY = 2**24
"""Different tokens: sixty times the largest vocabularies."""
RUNS = 2**20
"""Of one session: a hundred a day for twenty-eight years."""
COUNT = 2**31 - 1
"""Of what is only ever said, such as tokens compared over many queries, or a process's jobs."""
SIZE = 2**53
"""Of what is counted in bytes or parameters, as many as a terabyte of terabytes: what JSON holds exactly."""
SEED = 2**63 - 1
"""The largest that every generator takes."""

LayerCount = Annotated[int, Meta(ge=0, le=LAYERS)]
LayerIndex = Annotated[int, Meta(ge=0, lt=LAYERS)]
Width = Annotated[int, Meta(ge=0, le=WIDTH)]
TokenCount = Annotated[int, Meta(ge=0, le=TOKENS)]
"""Also the number of a unit, the place of a token, and a rank."""
TokenId = Annotated[int, Meta(ge=0, lt=VOCABULARY)]
RunNumber = Annotated[int, Meta(ge=1, le=RUNS)]
Count = Annotated[int, Meta(ge=0, le=COUNT)]
Size = Annotated[int, Meta(ge=0, le=SIZE)]
Seed = Annotated[int, Meta(ge=0, le=SEED)]
ExitCode = Annotated[int, Meta(ge=0, le=255)]
