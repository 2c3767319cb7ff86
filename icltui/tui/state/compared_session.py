"""What the numbers on the screen are held against: another run of the session, or another file."""

from dataclasses import dataclass

from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import Session


@dataclass(frozen=True)
class ComparedSession:
    """What the present numbers are held against."""

    label: str
    """Such as ``run 2``, or a file's name."""
    session: Session
    measured: MeasuredUnits

    @classmethod
    def of(cls, session: Session, label: str) -> "ComparedSession":
        """A session with its numbers ready to be drawn."""
        measured = session.measurement
        return cls(label, session, MeasuredUnits.from_measurement(measured) if measured else MeasuredUnits())
