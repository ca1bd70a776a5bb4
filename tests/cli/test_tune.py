"""`raydet tune`, with a formula in place of training."""

from __future__ import annotations

import functools
import json
import runpy

import pytest

from raydet.cli import main
from raydet.config import Config
from raydet.search import run as runs
from raydet.search.ledger import read_ledger

SWEEP = """base: demo/nuclei_retinanet
objective: {metric: bbox_mAP}
num_trials: 5
options: {runner.max_epochs: 3}
space:
  optimizer.lr: {loguniform: [1.0e-4, 1.0e-1]}
points:
  - {optimizer.lr: 0.001}
search: {sampler: random, storage: memory}
"""
WRITTEN = {"best_config.py", "leaderboard.md", "report.html", "trials.parquet", "plots"}


def formula(task, report):
    for epoch in range(1, 4):
        if not report(epoch, {"bbox_mAP": task.options["optimizer.lr"] * epoch}):
            return


@pytest.fixture
def tune(tmp_path, monkeypatch, capsys):
    """Runs `raydet tune` in an empty folder; returns the exit code, what was printed, and the folder of the sweep."""
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    real = runs.run_sweep

    def call(*arguments, train=formula):
        monkeypatch.setattr(runs, "run_sweep", functools.partial(real, function=train))
        code = main(["tune", *arguments])
        return code, capsys.readouterr(), tmp_path / "tune_results" / "sweep"

    return call


def test_a_sweep_leaves_a_report_and_a_config_to_train(tune):
    code, printed, folder = tune("sweep.yaml", "--local")
    assert code == 0
    assert {each.name for each in folder.iterdir()} >= WRITTEN
    assert "5 trials: 5 complete." in printed.out
    assert "The default config (trial 0) has 0.003:" in printed.out
    assert f"next: raydet train {folder.relative_to(folder.parents[1]) / 'best_config.py'}" in printed.out
    best = max(read_ledger(folder), key=lambda each: each.values)
    found = Config.fromfile(folder / "best_config.py")
    assert found.optimizer.lr == best.params["optimizer.lr"]
    assert found.runner.max_epochs == 3
    assert runpy.run_path(str(folder / "best_config.py"))["seed"] == best.seed


def test_a_report_is_rebuilt_from_the_ledger(tune):
    _, _, folder = tune("sweep.yaml", "--local", "--num-trials", "2")
    first = (folder / "leaderboard.md").read_text()
    for name in ("leaderboard.md", "report.html", "trials.parquet", "best_config.py"):
        (folder / name).unlink()
    (folder / "ledger.jsonl").write_bytes((folder / "ledger.jsonl").read_bytes() + b'{"event": "star')  # torn
    code, printed, _ = tune("report", str(folder))
    assert code == 0
    assert (folder / "leaderboard.md").read_text() == first
    assert "report.html" in printed.out


def test_a_report_does_without_a_base_config_that_is_gone(tune, tmp_path):

    base = Config.fromfile("demo/nuclei_retinanet")
    (tmp_path / "base.py").write_text(base.pretty_text)
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("demo/nuclei_retinanet", str(tmp_path / "base.py")))
    _, _, folder = tune("sweep.yaml", "--local", "--num-trials", "2")
    (tmp_path / "base.py").unlink()
    code, printed, _ = tune("report", str(folder))
    assert code == 0
    assert "the report goes without the base config" in printed.out


def test_a_folder_that_holds_a_sweep_is_refused_without_resume(tune):
    tune("sweep.yaml", "--local", "--num-trials", "1")
    code, printed, folder = tune("sweep.yaml", "--local", "--num-trials", "1")
    assert code == 2
    assert f"{folder} already holds a sweep" in printed.err
    assert "--resume" in printed.err


def test_ctrl_c_ends_with_a_report_and_says_how_to_go_on(tune):
    def interrupted(task, report):
        if task.number == 2:
            raise KeyboardInterrupt
        formula(task, report)

    code, printed, folder = tune("sweep.yaml", "--local", train=interrupted)
    assert code == 130
    assert "interrupted; go on with: raydet tune sweep.yaml" in printed.err
    assert "Traceback" not in printed.err
    assert "2 complete" in (folder / "leaderboard.md").read_text()
    code, printed, _ = tune("sweep.yaml", "--local", "--resume")
    assert code == 0
    assert "5 trials: 5 complete." in printed.out


def test_a_sweep_in_which_every_trial_fails_has_failed(tune):
    def broken(task, report):
        raise RuntimeError("no space left on device")

    code, printed, folder = tune("sweep.yaml", "--local", "--num-trials", "2", train=broken)
    assert code == 1
    assert "no trial came to a result" in printed.err
    assert "no space left on device" in (folder / "leaderboard.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one sweep file"),
        (["report"], "which sweep"),
        (["report", "."], "is no sweep folder"),
        (["sweep.yaml", "elsewhere"], "give one sweep file"),
        (["sweep.yaml", "--local", "--track", "wandb"], "wandb"),
        (["sweep.yaml", "--set", "num_trials"], "--set takes KEY=VALUE"),
        (["sweep.yaml", "--set", "space.optimizer.lr={uniform: [2, 1]}"], "optimizer.lr"),
    ],
)
def test_wrong_use_is_told_without_a_traceback(tune, arguments, message):
    code, printed, _ = tune(*arguments)
    assert code == 2
    assert message in printed.err
    assert printed.err.startswith("raydet: error: ")
    assert "Traceback" not in printed.err


def test_schema_is_json_and_needs_no_file(tune):
    code, printed, _ = tune("--schema")
    assert code == 0
    assert "space" in json.loads(printed.out)["$defs"]["SweepSettings"]["properties"]


def test_a_dry_run_draws_points_and_leaves_nothing_behind(tune):
    code, printed, folder = tune("sweep.yaml", "--dry-run", "2")
    assert code == 0
    assert "point 1:" in printed.out
    assert not folder.exists()


def test_trackers_are_told(tune):
    pytest.importorskip("tensorboard")
    code, _, folder = tune("sweep.yaml", "--local", "--num-trials", "2", "--track", "tensorboard")
    assert code == 0
    assert {each.name for each in (folder / "tensorboard").iterdir()} == {"0000", "0001"}
