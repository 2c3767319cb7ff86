"""Generators that report progress and return a result, run to their end."""

from collections.abc import Generator
from typing import TypeVar

Event = TypeVar("Event")
Result = TypeVar("Result")


def run_to_end(steps: Generator[Event, None, Result]) -> tuple[list[Event], Result]:
    """Everything that ``steps`` yields, and what it returns."""
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return events, end.value


def returning(result: Result) -> Generator[Event, None, Result]:
    """A generator that yields nothing and returns ``result``."""
    yield from ()
    return result
