"""How long a job still takes is said once it is known, and only where it is worth a word."""

from icltui.tui.state.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_from_the_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(0, 100)
    clock.now += 0.5
    pace.note(10, 100)
    assert pace.words == "", "half a second is no measure"
    clock.now += 4.5
    pace.note(20, 100)
    assert pace.words == "20 s left"
    clock.now += 5
    assert pace.words == "15 s left", "time goes on between two notes"
    clock.now += 14
    assert pace.words == ""


def test_minutes_and_a_new_beginning() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.note(10, 1000)
    clock.now += 10
    pace.note(30, 1000)
    assert pace.words == "8 min left", "what was done before the first note counts for nothing"
    pace.note(0, 50)
    assert pace.words == ""
    pace.rest()
    assert pace.words == ""
