from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from small_detector import ASSETS

import raydet
from raydet.checkpoint import load
from raydet.config import Config, ConfigError
from raydet.datasets import build_carrier, build_dataset
from raydet.engine import LocalEnvironment, inference_detector, init_detector, run_test, run_training
from raydet.engine.logging import get_logger, redact
from raydet.engine.training import TrainingResult

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, TrainingResult]:
    from small_detector import small_config

    folder = tmp_path_factory.mktemp("trained")
    cfg = small_config(folder, images=4, runner=dict(type="EpochBasedRunner", max_epochs=1), log_level="INFO")
    cfg.evaluation.save_best = "auto"
    return cfg, run_training(cfg, LocalEnvironment(folder / "work", "cpu"), build_carrier)


def test_run_returns_metrics_and_the_newest_checkpoint(trained: tuple[Config, TrainingResult]) -> None:
    _, result = trained
    assert {"bbox_mAP", "bbox_mAP_50"} <= set(result.metrics)
    assert result.checkpoint == result.work_dir / "epoch_1.pth"


def test_checkpoint_holds_the_facts_of_the_run(trained: tuple[Config, TrainingResult]) -> None:
    meta = load(trained[1].checkpoint)["meta"]
    assert meta["CLASSES"] == ("tree",)
    assert (meta["epoch"], meta["iter"], meta["seed"]) == (1, 2, 3)
    assert Config.fromstring(meta["config"], ".py").model.type == "FasterRCNN"
    assert meta["raydet"]["stage"] == "after_train_epoch"


def test_log_begins_with_the_facts_and_times_the_start(trained: tuple[Config, TrainingResult]) -> None:
    (path,) = trained[1].work_dir.glob("*.log.json")
    records = [json.loads(line) for line in path.open()]
    assert {"env_info", "config", "seed", "exp_name"} <= set(records[0])
    startup = next(record["startup"] for record in records if "startup" in record)
    assert set(startup) == {"config", "data", "model", "first_step"}
    assert path.with_name(path.name.removesuffix(".json")).exists()


def test_total_epochs_and_a_validation_phase_work_as_in_2x(tmp_path: Path, make_config: MakeConfig) -> None:
    cfg = make_config(images=4, workflow=[("train", 1), ("val", 1)], evaluation=None, total_epochs=1)
    del cfg["runner"]
    run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    (path,) = (tmp_path / "work").glob("*.log.json")
    modes = [json.loads(line).get("mode") for line in path.open()]
    assert [mode for mode in modes if mode] == ["train", "train", "val"]


def test_work_dir_that_cannot_be_written_is_refused(tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"work dir .* cannot be written .*choose another"):
        run_training(make_config(), LocalEnvironment(tmp_path / "file" / "work", "cpu"), build_carrier)


def test_config_errors_are_found_before_anything_is_made(tmp_path: Path, make_config: MakeConfig) -> None:
    cfg = make_config(custom_hooks=[dict(type="NumClasCheckHook")])
    cfg.model.neck.out_chanels = 16
    with pytest.raises(ConfigError, match=r"(?s)out_chanels.*NumClasCheckHook|NumClasCheckHook.*out_chanels"):
        run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    assert not (tmp_path / "work").exists()


def test_wrong_number_of_classes_is_said_at_the_start(tmp_path: Path, make_config: MakeConfig) -> None:
    cfg = make_config()
    cfg.model.roi_head.bbox_head.num_classes = 80
    with pytest.raises(ValueError, match=r"1 classes of CocoDataset \(tree\): roi_head.bbox_head.num_classes = 80"):
        run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)


def test_load_from_takes_over_the_weights(
    trained: tuple[Config, TrainingResult], tmp_path: Path, make_config: MakeConfig
) -> None:
    cfg = make_config(load_from=str(trained[1].checkpoint), images=2, evaluation=None)
    cfg.optimizer.lr = 0.0
    cfg.optimizer.weight_decay = 0.0
    result = run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    before, after = load(trained[1].checkpoint)["state_dict"], load(result.checkpoint)["state_dict"]
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_environment_with_other_shares_gives_results_in_the_order_of_the_data_set(
    trained: tuple[Config, TrainingResult], tmp_path: Path
) -> None:
    cfg, result = trained
    model = init_detector(cfg, result.checkpoint, "cpu")
    dataset = build_dataset(cfg.data.val, dict(test_mode=True))
    whole = run_test(model, build_carrier(dataset, cfg.data, "val"), LocalEnvironment(tmp_path, "cpu"))
    shares: list[Any] = []

    class OneOfTwo(LocalEnvironment):
        world_size = 2

        def gather(self, obj: Any) -> list[Any] | None:
            shares.append(obj)
            return shares if self.rank == 1 else None

    for rank in (0, 1):
        environment = OneOfTwo(tmp_path, "cpu")
        environment.rank = rank
        carrier = build_carrier(dataset, cfg.data, "val", rank=rank, world_size=2)
        joined = run_test(model, carrier, environment)
    assert joined is not None
    assert len(joined) == len(dataset)
    for one, other in zip(whole or [], joined, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_top_level_test_writes_results_and_metrics(trained: tuple[Config, TrainingResult], tmp_path: Path) -> None:
    cfg, result = trained
    out = tmp_path / "results.pkl"
    metrics = raydet.test(cfg, result.checkpoint, work_dir=tmp_path, out=out, device="cpu", eval_metrics=["bbox"])
    assert metrics == {**result.metrics, **metrics}
    assert json.loads((tmp_path / "eval.json").read_text())["bbox_mAP"] == metrics["bbox_mAP"]
    results = pickle.loads(out.read_bytes())
    assert len(results) == 3
    assert results[0][0].dtype == np.float32
    assert results[0][0].shape[1] == 5


def test_top_level_test_writes_json_and_formats_without_scoring(
    trained: tuple[Config, TrainingResult], tmp_path: Path
) -> None:
    cfg, result = trained
    out = tmp_path / "results.json"
    assert raydet.test(cfg, result.checkpoint, work_dir=tmp_path, out=out, device="cpu", format_only=True) == {}
    assert len(json.loads(out.read_text())) == 3
    assert (tmp_path / "results.bbox.json").exists()


def test_results_file_with_another_ending_is_refused(trained: tuple[Config, TrainingResult]) -> None:
    with pytest.raises(ValueError, match=r"ends with \.pkl, \.json or \.parquet, got 'a.txt'"):
        raydet.test(trained[0], None, out="a.txt")


def test_inference_takes_files_arrays_and_lists(trained: tuple[Config, TrainingResult]) -> None:
    cfg, result = trained
    model = init_detector(cfg, result.checkpoint, "cpu")
    assert model.CLASSES == ("tree",)
    path = sorted((ASSETS / "images").glob("val_*.jpg"))[0]
    from_file = inference_detector(model, str(path))
    from_array = inference_detector(model, cv2.imread(str(path)))
    batch = inference_detector(model, [str(path), cv2.imread(str(path))])
    assert len(from_file) == 1
    np.testing.assert_allclose(from_file[0], from_array[0], rtol=1e-5)
    assert [len(each) for each in batch] == [1, 1]
    np.testing.assert_allclose(batch[1][0], from_file[0], rtol=1e-3, atol=1e-3)
    assert inference_detector(model, []) == []


@pytest.mark.parametrize(("image", "error"), [(3, TypeError), (np.zeros((2, 2, 2, 2)), ValueError)])
def test_inference_refuses_what_is_no_image(
    image: Any, error: type[Exception], trained: tuple[Config, TrainingResult]
) -> None:
    with pytest.raises(error, match="image"):
        inference_detector(init_detector(trained[0], None, "cpu"), image)


def test_init_detector_without_names_in_the_checkpoint_says_so(
    trained: tuple[Config, TrainingResult], tmp_path: Path
) -> None:
    torch.save({"state_dict": load(trained[1].checkpoint)["state_dict"]}, tmp_path / "bare.pth")
    with pytest.warns(UserWarning, match="does not name its classes"):
        model = init_detector(trained[0], tmp_path / "bare.pth", "cpu", {"model.test_cfg.rcnn.score_thr": 0.9})
    assert len(model.CLASSES) == 80
    assert trained[0].model.test_cfg.rcnn.score_thr == 0.05


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("api_key='abcdef123'", "api_key='***'"),
        ('"WANDB_TOKEN": "abcdef123", "lr": 1', '"WANDB_TOKEN": "***", "lr": 1'),
        ("AWS_SECRET_ACCESS_KEY=abcdef123 next", "AWS_SECRET_ACCESS_KEY=*** next"),
        ("num_tokens: 12, keys: a", "num_tokens: 12, keys: a"),
    ],
)
def test_logs_hide_what_looks_like_a_secret(text: str, hidden: str) -> None:
    assert redact(text) == hidden


def test_logger_of_other_ranks_shows_errors_only_and_writes_all_to_its_file(tmp_path: Path, capsys: Any) -> None:
    logger = get_logger("raydet_test_rank", tmp_path / "ranks" / "1.log", log_level="INFO", rank=1)
    logger.info("on rank 1")
    logger.error("gone wrong")
    shown = capsys.readouterr().err
    assert "on rank 1" not in shown
    assert "gone wrong" in shown
    assert "on rank 1" in (tmp_path / "ranks" / "1.log").read_text()


def test_the_log_says_what_initialised_each_parameter(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    cfg = make_config(images=2, evaluation=None, log_level="DEBUG", runner=dict(type="EpochBasedRunner", max_epochs=1))
    run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier)
    (log,) = (tmp_path / "work").glob("*.log")
    assert "backbone.conv1.weight: Kaiming: a=0, bias=0, distribution=normal, mode=fan_out" in log.read_text()
