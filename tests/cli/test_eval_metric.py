from __future__ import annotations

import json

import numpy as np
import pytest

from raydet.cli import main
from raydet.config import Config
from raydet.engine.data import evaluation_dataset
from raydet.evaluation import write_results


@pytest.fixture(scope="module")
def results(run_folder, tmp_path_factory):
    """The boxes of the truth as results, and half of them."""
    dataset = evaluation_dataset(Config.fromfile(run_folder / "tiny.py"), "test")
    boxes = [dataset.get_ann_info(i)["bboxes"] for i in range(len(dataset))]
    scored = [[np.concatenate([each, np.full((len(each), 1), 0.9, np.float32)], axis=1)] for each in boxes]
    folder = tmp_path_factory.mktemp("results")
    for ending in ("pkl", "json", "parquet"):
        write_results(scored, folder / f"results.{ending}")
    write_results(scored[:2], folder / "short.pkl")
    return folder


@pytest.mark.parametrize("ending", ["pkl", "json", "parquet"])
def test_results_of_a_file_are_measured(run_folder, results, capsys, ending):
    path = str(results / f"results.{ending}")
    assert main(["eval-metric", path, str(run_folder / "tiny.py"), "--eval", "bbox"]) == 0
    assert "bbox_mAP: 1.0" in capsys.readouterr().out


def test_format_only_writes_beside_the_results(run_folder, results):
    assert main(["eval-metric", str(results / "results.json"), str(run_folder / "tiny.py"), "--format-only"]) == 0
    assert len(json.loads((results / "results.bbox.json").read_text())) == 32


def test_options_reach_the_metric(run_folder, results, capsys):
    options = ["--eval", "bbox", "--eval-options", "metric_items=['mAP_75']"]
    assert main(["eval-metric", str(results / "results.pkl"), str(run_folder / "tiny.py"), *options]) == 0
    assert "bbox_mAP_75: 1.0" in capsys.readouterr().out


def test_results_of_another_data_set_are_refused(run_folder, results, capsys):
    assert main(["eval-metric", str(results / "short.pkl"), str(run_folder / "tiny.py")]) == 2
    assert "2 results, the data set has 4 images" in capsys.readouterr().err
