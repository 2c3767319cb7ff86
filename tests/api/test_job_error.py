"""An error crosses to another process and back as itself; the table says how each door tells it."""

import pytest

from icltui.api.job_error import error_from, job_failed
from icltui.api.messages import JobFailed
from icltui.values import errors
from icltui.values.errors import ERRORS, BadInput, EngineError, IcltuiError, ModelError


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_an_error_comes_back_as_it_was(kind: type[IcltuiError]) -> None:
    failed = job_failed(kind("the model is gone"))
    assert (failed.kind, failed.exit_code) == (kind.__name__, kind.exit_code)
    back = error_from(failed)
    assert (type(back), str(back)) == (kind, "the model is gone")


def test_an_error_of_another_module_is_the_one_that_it_is_a_kind_of() -> None:
    class BadBatch(BadInput):
        pass

    assert type(error_from(job_failed(BadBatch("half \udc80")))) is BadInput
    assert job_failed(BadBatch("half \udc80")).message == "half \\udc80"


@pytest.mark.parametrize("kind", ["NewError", "reason_of", "ClassVar", "__builtins__", "EXIT_INTERRUPTED"])
@pytest.mark.parametrize(("exit_code", "nearest"), [(1, EngineError), (2, BadInput), (3, ModelError)])
def test_a_kind_that_is_not_known_is_the_nearest(
    kind: str, exit_code: int, nearest: type[IcltuiError]
) -> None:
    failed = JobFailed(kind=kind, message="no", exit_code=exit_code)
    assert type(error_from(failed)) is nearest


def test_the_tree_in_the_module_is_the_one_that_holds() -> None:
    named = {}
    exit_code, status = "", ""
    above: list[tuple[int, str, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        name = next((word for word in line.split() if word in ERRORS), None)
        if name is None or not line.startswith("    "):
            continue
        depth = line.index(name)
        above = [parent for parent in above if parent[0] < depth]
        given = [word for word in line[depth + len(name) :].split()[:2] if word.isdigit()]
        exit_code = next((word for word in given if len(word) == 1), above[-1][1] if above else "")
        status = next((word for word in given if len(word) == 3), above[-1][2] if above else "")
        above.append((depth, exit_code, status))
        named[name] = (int(exit_code), int(status))
    assert named == {name: (kind.exit_code, kind.http_status) for name, kind in ERRORS.items()}
    assert list(named) == list(ERRORS)
    assert len({kind.code for kind in ERRORS.values()}) == len(ERRORS)
