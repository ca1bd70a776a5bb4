from __future__ import annotations

import pytest

from raydet.cli import main

CONFIG = """model = dict(type='RetinaNet')
optimizer = dict(type='SGD', lr=0.01)
"""


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(CONFIG)
    return path


def test_config_prints_the_whole_with_changes(config_file, capsys):
    assert main(["config", str(config_file), "--cfg-options", "optimizer.lr=0.5", "seed=7"]) == 0
    printed = capsys.readouterr().out
    assert "lr=0.5" in printed
    assert "seed = 7" in printed


def test_config_with_out_writes_a_file_that_reads_back(config_file, tmp_path, capsys):
    assert main(["config", str(config_file), "--out", str(tmp_path / "all.yaml")]) == 0
    assert main(["config", str(tmp_path / "all.yaml")]) == 0
    assert "type='SGD'" in capsys.readouterr().out


def test_config_check_lists_every_problem_and_returns_1(config_file, capsys):
    config_file.write_text("optimizer = dict(type='SGDD', lr=0.01)\nlr_config = dict(policy='step', stepp=[2])\n")
    assert main(["config", str(config_file), "--check"]) == 1
    printed = capsys.readouterr().out
    assert "SGDD" in printed
    assert "stepp" in printed


def test_config_option_without_value_is_wrong_use(config_file, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["config", str(config_file), "--cfg-options", "optimizer.lr"])
    assert stop.value.code == 2
    assert "optimizer.lr" in capsys.readouterr().err
