"""Settings of speed and precision change how a model computes, not what it is."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from small_runner import Numbers, make
from torch import nn

from raydet.config import Config, check_config
from raydet.datasets import build_carrier
from raydet.engine import LocalEnvironment, run_training
from raydet.engine.acceleration import CompileCountHook, accelerate, compile_options, pad_to_bucket
from raydet.engine.environment import default_device
from raydet.engine.processes import set_up_processes
from raydet.registry import HOOKS

LOGGER = logging.getLogger("raydet_test_acceleration")


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 2, 3)
        self.neck = nn.Conv2d(2, 2, 1)


def test_channels_last_changes_the_layout_alone() -> None:
    model, images = Parts(), torch.rand(1, 3, 8, 8)
    before = model.backbone(images)
    accelerate(model, dict(channels_last=True), LOGGER)
    after = model.backbone(images)
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before)


def test_compiled_parts_keep_their_keys_and_new_graphs_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = Parts()
    keys = list(model.state_dict())
    accelerate(model, dict(torch_compile=dict(backend="eager", dynamic=False)), LOGGER)
    runner = make(folder=tmp_path, max_epochs=1)
    runner.logger = LOGGER
    runner.register_hook(CompileCountHook())
    sizes = iter((8, 8, 16))
    look = dict(type="ClosureHook", fn_name="before_train_iter", priority="HIGH")
    runner.register_hook_from_cfg({**look, "fn": lambda r: model.backbone(torch.rand(1, 3, 8, next(sizes)))})
    with caplog.at_level(logging.INFO):
        runner.run([Numbers(3)], [("train", 1)])
    lines = [record.message for record in caplog.records if "more graphs" in record.message]
    assert [line.split("iteration ")[1][0] for line in lines] == ["1", "3"]
    assert list(model.state_dict()) == keys


def test_bucket_pads_images_and_leaves_other_batches_alone() -> None:
    batch = {"img": torch.ones(1, 3, 33, 64), "img_metas": []}
    padded = pad_to_bucket(batch, 32)
    assert padded["img"].shape == (1, 3, 64, 64)
    assert padded["img"].sum() == batch["img"].sum()
    assert pad_to_bucket(batch, 1) is batch
    assert pad_to_bucket({"img": []}, 32) == {"img": []}


@pytest.mark.parametrize("setting", ["yes", dict(bucket=0)])
def test_wrong_compile_settings_are_named(setting: Any) -> None:
    with pytest.raises(ValueError, match="torch_compile"):
        compile_options(dict(torch_compile=setting))


def test_training_with_every_setting_runs(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    cfg = make_config(
        images=2,
        evaluation=None,
        runner=dict(type="EpochBasedRunner", max_epochs=1),
        channels_last=True,
        torch_compile=dict(backend="eager", bucket=32),
        fp16=dict(dtype="bfloat16"),
        nan_guard=dict(policy="skip"),
        profiler=dict(profile_iters=1, activities=["cpu"]),
    )
    assert check_config(cfg) == []
    assert run_training(cfg, LocalEnvironment(tmp_path / "work", "cpu"), build_carrier).checkpoint is not None


@pytest.mark.parametrize(("dtype", "scaled"), [("bfloat16", False), ("float16", True)])
def test_precision_is_chosen_by_name(dtype: str, scaled: bool, tmp_path: Path) -> None:
    runner = make(folder=tmp_path, max_epochs=1)
    hook = HOOKS.build(dict(type="Fp16OptimizerHook", loss_scale=8.0, dtype=dtype))
    runner.register_hook(hook)
    seen: list[torch.dtype] = []
    runner.model.weight.register_hook(lambda grad: seen.append(runner.amp_dtype))
    runner.run([Numbers(1)], [("train", 1)])
    assert seen == [getattr(torch, dtype)]
    assert hook.scaler.is_enabled() is scaled
    assert runner.stop_on_nonfinite_loss is not scaled


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fp16\.dtype is 'half'"):
        HOOKS.build(dict(type="Fp16OptimizerHook", dtype="half"))


def test_process_settings_reach_opencv_and_multiprocessing() -> None:
    threads, method = cv2.getNumThreads(), multiprocessing.get_start_method(allow_none=True)
    try:
        set_up_processes(dict(opencv_num_threads=1, mp_start_method="spawn"))
        assert cv2.getNumThreads() == 1
        assert multiprocessing.get_start_method() == "spawn"
    finally:
        cv2.setNumThreads(threads)
        multiprocessing.set_start_method(method, force=True)
    with pytest.raises(ValueError, match="mp_start_method is 'thread', expected one of"):
        set_up_processes(dict(mp_start_method="thread"))
    with pytest.raises(ValueError, match="opencv_num_threads must be"):
        set_up_processes(dict(opencv_num_threads=-1))


def test_default_device_is_the_accelerator_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    assert default_device(1) == torch.device("xpu:1")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert default_device() == torch.device("cpu")
