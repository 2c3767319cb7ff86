"""The one form in which a server tells an error: ``{"error": {"code": …, "message": …}}``."""

import msgspec

from icltui.values.errors import IcltuiError


class ToldError(msgspec.Struct, frozen=True):
    """What went wrong."""

    code: str
    """The error's name for programs."""
    message: str
    """One line: what is wrong, what was needed, what to do."""


class ErrorForm(msgspec.Struct, frozen=True):
    """An answer that tells an error."""

    error: ToldError


def error_form(error: IcltuiError) -> ErrorForm:
    """``error`` as a server tells it."""
    return ErrorForm(ToldError(error.code, str(error)))


def error_body(error: IcltuiError) -> bytes:
    """``error`` as the body of an answer, in JSON."""
    return msgspec.json.encode(error_form(error))
