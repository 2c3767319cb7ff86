"""The scripts of ``.ci`` alone say what runs on a change: workflow, pre-commit hooks and README agree with them."""

import re
import stat
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PARTS = re.findall(r"set -- (.+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)[0].split()
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text()


def test_every_script_is_a_part_that_can_be_run() -> None:
    scripts = {path.name for path in (ROOT / ".ci").iterdir()}
    assert scripts == {"run", *PARTS}
    assert all((ROOT / ".ci" / name).stat().st_mode & stat.S_IXUSR for name in scripts)


def test_the_workflow_runs_every_part_and_no_command_of_its_own() -> None:
    jobs = yaml.safe_load(WORKFLOW)["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert all(re.fullmatch(r"\.ci/\S+( [^\n]+)?", command) for command in commands)
    matrix = next(job["strategy"]["matrix"] for job in jobs if "strategy" in job)
    parts = {*matrix["part"], *(case["part"] for case in matrix["include"])}
    words = {word.removeprefix(".ci/") for command in commands for word in command.split()}
    assert set(PARTS) <= words | parts <= words | set(PARTS)


def test_every_test_is_run_by_a_part() -> None:
    """The plain run leaves out the tiers, and each tier is asked for by a part or needs what no runner has."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    tiers = {marker.partition(":")[0] for marker in options["markers"]}
    left_out = re.search(r"-m '([^']+)'", options["addopts"])
    assert left_out
    assert set(re.findall(r"not (\w+)", left_out[1])) == tiers
    asked_for = [
        re.findall(r"-m '?((?:\w+)(?: or \w+)*)", (ROOT / ".ci" / part).read_text()) for part in PARTS
    ]
    assert {tier for found in asked_for for words in found for tier in words.split(" or ")} >= tiers - {"gpu"}


def test_jobs_end_and_may_only_read() -> None:
    workflow = yaml.safe_load(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_files_that_the_workflow_names_exist() -> None:
    named = re.findall(r"\btests/[\w./-]+", WORKFLOW)
    assert named
    assert all((ROOT / name).exists() for name in named)


def test_the_hooks_before_a_commit_are_the_checks() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    checks = [line for line in (ROOT / ".ci/checks").read_text().splitlines() if line.startswith(".venv/")]
    assert hooks == checks


def test_the_environment_is_that_of_the_readme() -> None:
    script = (ROOT / ".ci/env").read_text()
    pattern = re.search(r"grep -m 1 -E '(.+)' README\.md", script)
    assert pattern
    lines = re.findall(pattern[1], (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 1
    assert "-c tests/constraints.txt" in lines[0]


def test_nothing_else_lies_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git")
    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} == {
        *("pyproject.toml", "README.md", "LICENSE", "icltui", "tests", "sessions"),
    }


def test_every_package_that_the_tests_need_has_its_version_written_down() -> None:
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "tests/constraints.txt").read_text().splitlines()
    }
    seen: set[tuple[str, str]] = set()
    wanted = [("icltui", "test"), ("icltui", "")]
    while wanted:
        name, extra = wanted.pop()
        try:
            needs = map(Requirement, requires(name) or ())
        except PackageNotFoundError:
            continue  # such as another operating system's
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                found = {(canonicalize_name(need.name), one) for one in ("", *need.extras)}
                wanted += found - seen
                seen |= found
    installed = {name for name, _ in seen if _is_installed(name)}
    assert len(installed) > 60
    assert installed - pinned - {"icltui", "setuptools"} == set()


def _is_installed(name: str) -> bool:
    try:
        requires(name)
    except PackageNotFoundError:
        return False
    return True
