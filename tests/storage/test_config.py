"""The settings' file and ``icltui config``: what can be used is, what cannot is one line."""

import os
from pathlib import Path

import pytest

from icltui.cli.explore import prepare_terminal
from icltui.cli.main import main
from icltui.storage.config import Config, read_config
from icltui.storage.database.destination import spool_of

FULL = """
theme = "nord"
model = "gpt2"
colours = "256"
log = "postgresql+psycopg://me:geheim@host/lab"
mouse = false
animation = "off"
[keys]
run = "f6,ctrl+e"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("TEXTUAL_THEME", "SSH_CONNECTION", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "icltui").mkdir()
    return tmp_path / "icltui" / "config.toml"


def test_without_a_file_all_is_as_usual(file: Path) -> None:
    assert read_config(file) == (Config(), ())


def test_every_setting_is_read(file: Path) -> None:
    file.write_text(FULL)
    keys = {"run": "f6,ctrl+e"}
    values = {"theme": "nord", "model": "gpt2", "colours": "256", "mouse": False, "animation": "off"}
    config = Config(**values, log="postgresql+psycopg://me:geheim@host/lab", keys=keys)
    assert read_config(file) == (config, ())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("theme = 3", "config.toml: theme = 3 cannot be used: a text is needed"),
        ('mouse = "no"', "config.toml: mouse = 'no' cannot be used: true or false is needed"),
        (
            'colours = "8"',
            'config.toml: colours = \'8\' cannot be used: one of "auto", "16", "256", "truecolor"',
        ),
        ("keys = 3", "config.toml: keys = 3 cannot be used: a table of keys is needed"),
        ("[keys]\nrun = 6", 'config.toml: keys of run must be a text such as "ctrl+r,f5"'),
        (
            'color = "16"',
            "config.toml: setting 'color' is not known: one of theme, model, colours, graphics, log, mouse, "
            "launcher, animation, keys",
        ),
    ],
)
def test_a_fault_costs_its_own_setting(file: Path, text: str, line: str) -> None:
    file.write_text(f'animation = "off"\n{text}\n')
    assert read_config(file) == (Config(animation="off"), (line,))


@pytest.mark.parametrize("data", [b"theme =", b"\xff", b"theme = '\x1b[31m'", b"a\x00", b"=" * 10**5])
def test_what_is_no_toml_is_one_line(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    config, (line,) = read_config(file)
    assert config == Config()
    assert line.startswith("config.toml: ")
    assert line.isprintable()
    assert len(line) < 250


def test_a_folder_in_its_place_is_said(file: Path) -> None:
    file.mkdir()
    assert read_config(file) == (Config(), (f"{file} cannot be read: is a directory",))


def test_the_command_prints_places_and_a_file_to_begin_with(file: Path, capsys) -> None:
    assert main(["config"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"# config      {file}" in out
    assert "not there yet" in out
    assert 'theme = "icltui-dark"' in out
    assert 'run = "ctrl+r,f5"' in out
    file.write_text(out)
    assert main(["config"]) == 0, "what it prints is a config file"
    assert capsys.readouterr().out == out.replace("not there yet", "there", 1)


def test_the_command_prints_what_is_in_force(file: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FULL)
    monkeypatch.setenv("TEXTUAL_THEME", "dracula")
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert 'theme = "dracula"' in out
    assert 'model = "gpt2"' in out
    assert 'log = "postgresql://me@host/lab"' in out, "without password"
    assert 'run = "f6,ctrl+e"' in out


def test_the_command_fails_on_a_bad_file(file: Path, capsys) -> None:
    file.write_text('theme = "nort"\n[keys]\nrunn = "f6"\n')
    assert main(["config"]) == 2
    out, err = capsys.readouterr()
    assert 'theme = "icltui-dark"' in out
    first, second = err.splitlines()
    assert first.startswith("icltui: config.toml: theme 'nort' is not known: one of icltui-dark, ")
    assert second == "icltui: config.toml: keys: 'runn' is not an action: did you mean run?"


def test_the_command_says_what_waits_for_a_database(file: Path, capsys) -> None:
    spool = spool_of(f"sqlite:///{file.parent}/log.sqlite")
    spool.keep([b"one", b"two"])
    assert main(["config"]) == 0
    assert (
        f"# for a log   {spool.path}  2 wait for the next start with its --log\n" in capsys.readouterr().out
    )
    spool.remove([1, 2])
    spool.path.rename(aside := spool.path.with_suffix(".aside"))
    spool.path.write_text("of something else, and longer than a header would be" * 20)
    assert main(["config"]) == 0
    assert f"# for a log   {spool.path}  cannot be read: file is not a database\n" in capsys.readouterr().out
    aside.rename(spool.path)
    assert main(["config"]) == 0
    assert "for a log" not in capsys.readouterr().out


def test_a_log_that_is_no_database_is_a_fault(file: Path, capsys) -> None:
    file.write_text('log = "my log"\n')
    assert main(["config"]) == 2
    assert (
        "icltui: config.toml: log: the database's URL cannot be read: write sqlite:///"
        in capsys.readouterr().err
    )


def test_the_command_makes_nothing(file: Path) -> None:
    main(["config"])
    assert list(file.parent.parent.rglob("*")) == [file.parent]


@pytest.mark.parametrize(
    ("config", "ssh", "expected"),
    [
        (Config(), "", {}),
        (Config(colours="16"), "", {"TEXTUAL_COLOR_SYSTEM": "standard"}),
        (Config(), "1 2", {"TEXTUAL_ANIMATIONS": "none", "ESCDELAY": "250"}),
        (Config(animation="on"), "1 2", {"ESCDELAY": "250"}),
    ],
)
def test_textual_is_told_before_it_is_imported(
    config: Config, ssh: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"SSH_CONNECTION": ssh}
    monkeypatch.setattr(os, "environ", environ)
    prepare_terminal(config)
    assert environ == {"SSH_CONNECTION": ssh, "TEXTUAL_SMOOTH_SCROLL": "0"} | expected


def test_what_the_environment_says_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "TEXTUAL_COLOR_SYSTEM": "truecolor",
        "TEXTUAL_SMOOTH_SCROLL": "1",
        "ESCDELAY": "30",
        "SSH_TTY": "x",
    }
    monkeypatch.setattr(os, "environ", environ := said | {"SSH_CONNECTION": "1 2"})
    prepare_terminal(Config(colours="16"))
    assert {name: environ[name] for name in said} == said
