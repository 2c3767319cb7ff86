"""Everything that icltui refuses or fails at, as one tree: each error's exit code, HTTP status and name for programs.

                                exit  HTTP
    IcltuiError                   1    500
    ├── BadInput                  2    422   a prompt, option or file that cannot be used as it is
    │   ├── SessionError                     a session file that cannot be read or written
    │   ├── DatabaseError                    a database that cannot be reached, or not written
    │   └── RequestTooLarge            413   more than a server takes in one request
    ├── ModelError                3          the model could not be loaded, or cannot be explored
    │   └── ForwardError                     its own forward pass fails, or gives no logits
    ├── EngineError                          the engine failed while it worked, or went away
    │   ├── OutOfMemory                503   the memory does not suffice, even for one thing at a time
    │   └── TimedOut                   504   the work took longer than a server allows
    ├── Busy                           503   a server has as much to do as it takes
    ├── Unauthorized                   401   a request without the server's token, or with another
    └── Forbidden                      403   a request that a web page of another address may have made

``code`` is the error's name for programs: in the JSON of every server, and in Python. The class's own name is the
``kind`` of :class:`~icltui.api.messages.JobFailed`.
Each message is one line: what is wrong, with the value; what was needed; what to do.
"""

from typing import ClassVar


class IcltuiError(Exception):
    """Root of the tree: whatever has no class of its own. Its text is shown to the user as it is."""

    exit_code: ClassVar[int] = 1
    """Exit code of the command line where this error ends it."""
    http_status: ClassVar[int] = 500
    """Status of a server's answer that tells this error."""
    code: ClassVar[str] = "failed"
    """The error's name for programs."""


class BadInput(IcltuiError):
    """A prompt, option or file that cannot be used as it is."""

    exit_code = 2
    http_status = 422
    code = "bad_input"


class SessionError(BadInput):
    """A session file that is damaged, newer than this program, or cannot be written."""

    code = "session"


class DatabaseError(BadInput):
    """A database that cannot be reached or written, or has other tables; nothing of what failed is in it."""

    code = "database"


class RequestTooLarge(BadInput):
    """A request with more than a server takes: bytes, tokens or layers."""

    http_status = 413
    code = "too_large"


class ModelError(IcltuiError):
    """A model that could not be loaded, or whose blocks cannot be explored."""

    exit_code = 3
    code = "model"


class ForwardError(ModelError):
    """The model's own code fails at its forward pass, or what it gives holds no logits."""

    code = "forward_pass"


class EngineError(IcltuiError):
    """The engine failed while it worked, or its process went away."""

    code = "engine"


class OutOfMemory(EngineError):
    """The memory does not suffice; what was computed before holds, and the engine is ready for the next job."""

    http_status = 503
    code = "out_of_memory"


class TimedOut(EngineError):
    """A job that took longer than a server allows; it was stopped."""

    http_status = 504
    code = "timed_out"


class Busy(IcltuiError):
    """A server that has as many jobs as it takes."""

    http_status = 503
    code = "busy"


class Unauthorized(IcltuiError):
    """A request without the server's token, or with another."""

    http_status = 401
    code = "unauthorized"


class Forbidden(IcltuiError):
    """A request that came by way of another address, such as from a web page, to a server without a token."""

    http_status = 403
    code = "forbidden"


ERRORS: dict[str, type[IcltuiError]] = {
    name: kind
    for name, kind in tuple(globals().items())
    if isinstance(kind, type) and issubclass(kind, IcltuiError)
}
"""Every error by the name of its class, in the tree's order."""

EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def reason_of(error: Exception) -> str:
    """Why a file or a stream could not be used, in the operating system's words and lower case.

    >>> reason_of(FileNotFoundError(2, "No such file or directory", "x"))
    'no such file or directory'
    """
    return str(getattr(error, "strerror", None) or error).lower()


def rust_panic_error(error: BaseException) -> ModelError | None:
    """The error to show for a panic of a Rust library; None for any other exception.

    PyO3 raises a panic as a BaseException that is no :class:`Exception`, though it asks for no exit.
    """
    if isinstance(error, (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)):
        return None
    return tokenizer_error(error)


def tokenizer_error(error: BaseException) -> ModelError:
    """The error to show for a library, such as tokenizers, that failed on a model's files or on a text."""
    reason = " ".join(str(error).split())[:300]
    return ModelError(
        f"a library failed on this model's files ({type(error).__name__}: {reason}): its tokenizer.json may be "
        "damaged, or meant for another version of tokenizers"
    )
