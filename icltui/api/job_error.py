"""An error as the last event of a job, and that event as the error again, on the other side of a process."""

from icltui.api.messages import JobFailed
from icltui.values.errors import ERRORS, BadInput, EngineError, IcltuiError, ModelError

_BY_EXIT_CODE = {kind.exit_code: kind for kind in (EngineError, BadInput, ModelError)}


def job_failed(error: IcltuiError) -> JobFailed:
    """The event that tells ``error``; a lone surrogate, which no message may hold, is an escape in it."""
    kind = next(name for cls in type(error).__mro__ if ERRORS.get(name := cls.__name__) is cls)
    message = str(error).encode("utf-8", "backslashreplace").decode()
    return JobFailed(kind=kind, message=message, exit_code=error.exit_code)


def error_from(failed: JobFailed) -> IcltuiError:
    """The error by which a job failed; of a kind that another version has, the one with its exit code.

    >>> error_from(JobFailed(kind="BadInput", message="layer 9 out of range", exit_code=2))
    BadInput('layer 9 out of range')
    """
    kind = ERRORS.get(failed.kind) or _BY_EXIT_CODE.get(failed.exit_code, EngineError)
    return kind(failed.message)
