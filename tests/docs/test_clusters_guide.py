"""The commands of the guide to clusters are understood, and the files that it names are there."""

import re
import shlex
from pathlib import Path

import pytest

from raydet.cli import main
from raydet.cli.app import _parser

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "clusters.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
COMMANDS = [line.split("&&")[0] for line in BLOCKS.splitlines() if line.startswith("raydet ")]
RENDERS = [command for command in COMMANDS if command.startswith("raydet cluster render")]


def words_of(command):
    return shlex.split(command.replace("...", "x"), comments=True)[1:]


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_understood(command):
    words = words_of(command)
    parser, _ = _parser(words[0])
    assert parser.parse_args(words).command == words[0]


@pytest.mark.parametrize("command", RENDERS)
def test_file_that_a_command_renders_has_no_mistakes(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words_of(command)) == 0
    out = next(tmp_path.glob("*.yaml"))
    main(["cluster", "check", str(out)])
    assert "mistakes" not in capsys.readouterr().out.replace("0 mistakes", "")


def test_files_that_the_guide_names_are_there():
    named = set(re.findall(r"clusters/[\w./-]+\w", GUIDE))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert "clusters/slurm.sh" in named
