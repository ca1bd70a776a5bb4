from __future__ import annotations

import re
import subprocess
import sys

import pytest

from raydet import __version__
from raydet.cli import main
from raydet.cli.app import COMMANDS, describe


def run_alone(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_command_and_returns_0(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    printed = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(re.search(rf"^    {name}\s", printed, re.MULTILINE) for name in COMMANDS)


def test_help_imports_neither_torch_nor_ray():
    code = (
        "import sys; from raydet.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'ray', 'cv2', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    assert run_alone("-c", code).stderr == ""


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command_has_examples_and_needs_no_torch(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"raydet {command}" in capsys.readouterr().out


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"raydet {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["config"]], ids=["nothing", "unknown", "incomplete"])
def test_wrong_use_returns_2_with_one_error_line(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("raydet: error: ")


def test_user_error_is_one_line_and_returns_2():
    done = run_alone("-m", "raydet.cli", "config", "no_such_config.py")
    assert done.returncode == 2
    assert done.stderr.startswith("raydet: error: ")
    assert "no_such_config.py" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--debug", "config", "nothing.py"], ["config", "nothing.py", "--debug"]])
def test_user_error_with_debug_shows_the_traceback(arguments):
    with pytest.raises(FileNotFoundError):
        main(arguments)


def test_user_error_with_debug_variable_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("RAYDET_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(["config", "nothing.py"])


def test_interrupt_returns_130(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("raydet.cli.config.run", interrupted)
    assert main(["config", "any.py"]) == 130
    assert capsys.readouterr().err == "raydet: interrupted\n"


def test_failed_run_is_one_line_and_returns_1(monkeypatch, capsys):
    def fails(args):
        raise FloatingPointError("loss_bbox is not finite")

    monkeypatch.setattr("raydet.cli.config.run", fails)
    assert main(["config", "any.py"]) == 1
    assert capsys.readouterr().err == "raydet: error: loss_bbox is not finite\n"


def test_fault_of_the_program_is_not_hidden(monkeypatch):
    def broken(args):
        raise RuntimeError("a fault")

    monkeypatch.setattr("raydet.cli.config.run", broken)
    with pytest.raises(RuntimeError, match="a fault"):
        main(["config", "any.py"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("bad value 3"), "bad value 3"),
        (KeyError("no head named 'X'"), "no head named 'X'"),
        (KeyError("lr"), "KeyError: lr (--debug shows where)"),
    ],
)
def test_describe_says_what_is_wrong(error, expected):
    assert describe(error) == expected
