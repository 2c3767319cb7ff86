"""What was found of families of tasks, a line of JSON each, so that a run that was stopped can go on.

A results file holds the lines of any number of models, versions and recipes; :func:`read_records` takes those of one.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from icltui.storage.text_file import TooLarge, read_bytes
from icltui.tasks.family import Kind
from icltui.values import Exam, ExamRow, PatchChoice
from icltui.values.errors import BadInput, reason_of
from icltui.values.prompt import Bos
from icltui.values.recipe import Recipe

MOST_RESULT_BYTES = 2**28


class RunKey(msgspec.Struct, frozen=True, kw_only=True):
    """What lines must share to be in one table."""

    model: str
    """Name of the model."""
    fingerprint: str
    """Hash of its weights."""
    dtype: str
    version: str
    """Version of icltui."""
    recipe: Recipe
    """Where the choice began."""
    bos: Bos
    budget: float
    """Seconds for each choice by leave-one-out; 0: nothing was chosen."""


class FamilyChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What leave-one-out chose for one family's context."""

    choice: PatchChoice
    r_left_out: float | None
    """Median R over the calibration queries, each left out in turn."""
    refused: str | None
    """Why such a patch is refused by what is known without unseen queries; None where it is not."""
    seconds: float
    """Duration of the whole compilation."""


class FamilyExam(msgspec.Struct, frozen=True, kw_only=True, tag="exam"):
    """One exam of one family; its rows may be some of those that are wanted."""

    key: RunKey
    family: str
    kind: Kind
    seed: int
    """Seed of the family's split."""
    exam: Exam
    made: FamilyChoice | None = None
    """How the compiled patches are made; None where nothing was chosen."""


class FamilyPatch(msgspec.Struct, frozen=True, kw_only=True, tag="patch"):
    """One compilation of one family's context, judged on its unseen queries."""

    key: RunKey
    family: str
    kind: Kind
    seed: int
    """Seed of the family's split."""
    n_queries: int
    """Calibration queries that it was made from."""
    refused: str | None
    """Why it was refused by leave-one-out, which knows no unseen query; None where it was not."""
    r_median: float | None
    """Median R over the unseen queries; None where the context changes nothing."""
    r_left_out: float | None
    """Median R over the calibration queries, each left out in turn."""
    collateral: float | None
    """Mean KL per token of unrelated text, in nats."""
    seconds: float
    r_pooled: float | None = None
    """1 − KL(context ‖ patched) / KL(context ‖ no patch), both summed over all unseen queries; None: not known."""

    @property
    def is_worse(self) -> bool:
        """Whether it is worse than no patch on the unseen queries: in the median, or in all of them together."""
        return any(r is not None and r < 0 for r in (self.r_median, self.r_pooled))

    @property
    def is_harmful(self) -> bool:
        """Whether it was not refused, and is worse than no patch."""
        return self.refused is None and self.is_worse


FamilyRecord = FamilyExam | FamilyPatch


def append_record(path: Path | None, record: FamilyRecord) -> None:
    """Add one line to the file, if there is to be one.

    Raises:
        BadInput: the file cannot be written.
    """
    if path is None:
        return
    try:
        with path.open("ab") as file:
            file.write(msgspec.json.encode(record) + b"\n")
    except OSError as error:
        raise BadInput(
            f"cannot write {str(path)!r}: {reason_of(error)}: name another results file"
        ) from error


def read_records(path: Path | None, key: RunKey) -> list[FamilyRecord]:
    """The lines of the file that have ``key``; none where there is no file.

    Raises:
        BadInput: a file that cannot be read, or a line of it that is no record.
    """
    if path is None or not path.exists():
        return []
    try:
        rows = read_bytes(path, MOST_RESULT_BYTES).splitlines()
    except (OSError, TooLarge) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise BadInput(f"cannot read {str(path)!r}: {reason}: name another file of results") from error
    found: list[FamilyRecord] = []
    for number, row in enumerate(rows, 1):
        try:
            record = msgspec.json.decode(row, type=FamilyRecord)
        except msgspec.MsgspecError as error:
            raise BadInput(
                f"line {number} of {str(path)!r} is no result of bench --only families ({error}): name another file"
            ) from None
        if record.key == key:
            found.append(record)
    return found


def rows_of(records: Sequence[FamilyRecord], family: str, seed: int) -> list[ExamRow]:
    """The rows of a family's exams, the last of each patch."""
    rows = {
        row.patch: row
        for record in records
        if isinstance(record, FamilyExam) and (record.family, record.seed) == (family, seed)
        for row in record.exam.rows
    }
    return [*rows.values()]
