from __future__ import annotations

import json
import pickle

import pytest

from raydet.cli import main


def run(run_folder, *arguments):
    return main(["test", str(run_folder / "tiny.py"), str(run_folder), *map(str, arguments), "--device", "cpu"])


def test_test_of_a_run_measures_draws_and_writes(run_folder, tmp_path, capsys):
    outputs = ["--out", tmp_path / "results.pkl", "--show-dir", tmp_path / "drawn", "--work-dir", tmp_path]
    assert run(run_folder, *outputs, "--eval", "bbox", "segm") == 0
    assert "segm_mAP_50: " in capsys.readouterr().out
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 4
    assert len(pickle.loads((tmp_path / "results.pkl").read_bytes())) == 4
    assert "bbox_mAP" in json.loads((tmp_path / "eval.json").read_text())


def test_test_with_format_only_writes_result_files(run_folder, tmp_path):
    options = ["--format-only", "--eval-options", f"jsonfile_prefix={tmp_path}/for_server", "--work-dir", tmp_path]
    assert run(run_folder, *options) == 0
    assert (tmp_path / "for_server.segm.json").is_file()


def test_test_with_workers_hands_the_request_to_the_cluster(run_folder, monkeypatch, capsys):
    asked = {}

    def on_cluster(cfg, checkpoint, **options):
        asked.update(options, checkpoint=checkpoint)
        return {"bbox_mAP": 0.5}

    monkeypatch.setattr("raydet.distributed.testing.test", on_cluster)
    assert run(run_folder, "--num-workers", 2, "--carrier", "torch", "--eval", "bbox") == 0
    assert "bbox_mAP: 0.5" in capsys.readouterr().out
    assert asked["checkpoint"].parent == run_folder
    assert (asked["num_workers"], asked["carrier"], asked["eval_metrics"]) == (2, "torch", ["bbox"])
    assert asked["work_dir"] == str(run_folder)


@pytest.mark.ray
@pytest.mark.slow
def test_test_with_workers_has_the_numbers_of_one_process(run_folder, tmp_path):
    for name, where in {"alone": [], "two": ["--num-workers", 2]}.items():
        assert run(run_folder, "--eval", "bbox", "segm", "proposal", "--work-dir", tmp_path / name, *where) == 0
    alone, two = (json.loads((tmp_path / name / "eval.json").read_text()) for name in ("alone", "two"))
    assert alone == two
    assert {"bbox_mAP", "segm_mAP", "AR@100"} <= set(alone)


def test_test_that_fails_on_the_cluster_says_so_without_a_traceback(run_folder, monkeypatch, capsys):
    from raydet.distributed import TrainingFailed

    def on_cluster(*_, **options):
        raise TrainingFailed("all workers are lost")

    monkeypatch.setattr("raydet.distributed.testing.test", on_cluster)
    assert run(run_folder, "--num-workers", 2) == 1
    assert "all workers are lost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eval", "mAP"], "metric mAP is not supported"),
        (["--out", "results.txt"], ".pkl, .json or .parquet"),
        (["--cfg-options", "model.neck.type=FPM"], "FPM"),
    ],
)
def test_test_of_wrong_requests_returns_2(run_folder, tmp_path, capsys, arguments, message):
    assert run(run_folder, "--work-dir", tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err
