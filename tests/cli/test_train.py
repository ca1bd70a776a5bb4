from __future__ import annotations

import argparse

import pytest

from raydet.cli import main
from raydet.cli.options import amounts, cluster_options, labels
from raydet.cli.train import add_arguments, apply_arguments, format_metrics
from raydet.config import Config


def changed(*arguments, **keys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    cfg = Config({"evaluation": {"interval": 1}, "auto_scale_lr": {"enable": False, "base_batch_size": 16}, **keys})
    apply_arguments(cfg, parser.parse_args(["any.py", *arguments]))
    return cfg


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["--seed", "7"], "seed", 7),
        (["--deterministic"], "deterministic", True),
        (["--resume-from", "a.pth"], "resume_from", "a.pth"),
        (["--no-validate"], "evaluation", None),
        (["--auto-scale-lr"], "auto_scale_lr", {"enable": True, "base_batch_size": 16}),
        ([], "seed", None),
        ([], "evaluation", {"interval": 1}),
    ],
)
def test_train_argument_changes_its_key_of_the_config(arguments, key, value):
    assert changed(*arguments).get(key) == value


def test_train_arguments_of_the_cluster_become_those_of_the_function():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--num-workers", "2:8", "--resources-per-worker", "CPU=4,GPU=0.5", "--workers-on", "pool=in(a,b),zone=c"]
    options = cluster_options(parser.parse_args(["any.py", *words, "--data-on", "worker", "--use-gpu"]))
    assert options == {
        "num_workers": "2:8",
        "use_gpu": True,
        "resources_per_worker": {"CPU": 4.0, "GPU": 0.5},
        "worker_label_selector": {"pool": "in(a,b)", "zone": "c"},
        "data_label_selector": "worker",
        "address": None,
        "carrier": "ray",
    }


@pytest.mark.parametrize(
    ("read", "text"), [(labels, "pool"), (labels, "=a"), (amounts, "CPU=many"), (amounts, "CPU=-1")]
)
def test_words_that_are_no_labels_or_amounts_are_refused(read, text):
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)


def test_train_interface_goes_into_the_config():
    cfg = changed("--interface", "eth1", network={"env": {"A": "1"}})
    assert cfg.network == {"env": {"A": "1"}, "interface": "eth1"}


def test_format_metrics_shows_measured_numbers_only():
    assert format_metrics({"bbox_mAP": 0.5, "bbox_mAP_l": -1.0, "bbox_mAP_copypaste": "0.5 0.6"}) == "bbox_mAP 0.5000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--local", "--num-workers", "2"], "num_workers=2"),
        (["--num-workers", "0"], "num_workers must be a number of 1 at least"),
        (["--num-workers", "4:2"], "got '4:2'"),
        (["--local", "--cfg-options", "model.type=MaskRNN"], "MaskRCNN"),
    ],
)
def test_train_of_impossible_requests_returns_2(run_folder, tmp_path, capsys, arguments, message):
    assert main(["train", str(run_folder / "tiny.py"), "--work-dir", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_train_local_leaves_a_run_that_infer_can_use(run_folder, images, tmp_path, capsys):
    options = ["--cfg-options", "data.samples_per_gpu=12", "--no-validate", "--seed", "0"]
    work_dir = str(tmp_path / "run")
    assert main(["train", str(run_folder / "tiny.py"), "--local", "--work-dir", work_dir, *options]) == 0
    assert f"raydet infer IMAGE --run {work_dir}" in capsys.readouterr().out
    assert main(["infer", str(images / "0001.png"), "--run", work_dir, "--out", str(tmp_path), "--device", "cpu"]) == 0


def test_train_into_a_used_folder_asks_for_resume(run_folder, tmp_path, capsys):
    (tmp_path / "epoch_1.pth").touch()
    assert main(["train", str(run_folder / "tiny.py"), "--local", "--work-dir", str(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err
