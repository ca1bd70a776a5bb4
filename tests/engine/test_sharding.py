"""Training in shards: the numbers of data-parallel training, checkpoints that may be taken anywhere."""

from __future__ import annotations

import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import assert_identical, logged
from sharded_runs import compare, other_settings
from small_detector import small_config
from torch import nn

from raydet.backbones import ResNet, SwinTransformer
from raydet.checkpoint import CheckpointError, UnsafeCheckpointError, load
from raydet.checkpoint.publish import read_whole, write_as
from raydet.checkpoint.shards import verify_checkpoint
from raydet.config import ensure_valid
from raydet.engine import LocalEnvironment
from raydet.engine.sharding import blocks_of, wants_shards
from raydet.engine.starting import find_start
from raydet.engine.testing import evaluate_detector


def close(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.allclose(one[key], other[key], atol=1e-5) for key in one)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    torch.multiprocessing.spawn(compare, (str(folder),), nprocs=2)
    return folder


def test_losses_and_weights_are_those_of_data_parallel_training(runs: Path) -> None:
    one, other = logged(runs / "ddp"), logged(runs / "fsdp2")
    assert one.keys() == other.keys()
    for place, numbers in one.items():
        assert numbers == pytest.approx(other[place], abs=1e-5), place
    assert close(load(runs / "ddp" / "latest.pth")["state_dict"], load(runs / "fsdp2" / "latest.shards")["state_dict"])


def test_interrupted_run_goes_on_exactly(runs: Path) -> None:
    whole, resumed = load(runs / "fsdp2" / "latest.shards"), load(runs / "resumed" / "latest.shards")
    for part in ("state_dict", "optimizer"):
        assert_identical(whole[part], resumed[part], part)
    kept = sorted(path.name for path in (runs / "resumed").glob("iter_*"))
    assert kept == ["iter_3.shards", "iter_4.shards"]


def test_checkpoints_are_taken_over_in_both_directions(runs: Path) -> None:
    one, other = load(runs / "from_ddp" / "latest.shards"), load(runs / "to_ddp" / "latest.pth")
    assert close(one["state_dict"], other["state_dict"])
    assert one["meta"]["iter"] == other["meta"]["iter"] == 6


def test_shards_are_tested_and_exported_as_one_file(runs: Path, tmp_path: Path) -> None:
    best = next((runs / "fsdp2").glob("best_*.shards"))
    write_as(read_whole(best), tmp_path / "best.pth")
    cfg = small_config(tmp_path / "data")
    environment = LocalEnvironment(tmp_path, "cpu")
    metrics = [
        evaluate_detector(cfg, path, split="val", environment=environment) for path in (best, tmp_path / "best.pth")
    ]
    assert metrics[0] == metrics[1]


def test_damaged_or_incomplete_shards_are_noticed_and_passed_over(runs: Path) -> None:
    newest, before = runs / "from_ddp" / "iter_6.shards", runs / "from_ddp" / "iter_5.shards"
    part = newest / "__1_0.distcp"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"__1_0\.distcp is damaged"):
        verify_checkpoint(newest)
    start = find_start(
        small_config(runs / "d"), LocalEnvironment(runs / "from_ddp", "cpu", resume=True), logging.getLogger(__name__)
    )
    assert start.source == str(before)
    part.unlink()
    with pytest.raises(CheckpointError, match=r"__1_0\.distcp is missing"):
        verify_checkpoint(newest)


def test_shards_never_run_code(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "fsdp2" / "iter_4.shards", tmp_path / "bad.shards")
    (folder / ".metadata").write_bytes(pickle.dumps(eval))
    with pytest.raises(UnsafeCheckpointError, match=r"builtins\.eval"):
        load(folder)


@pytest.mark.slow
def test_bfloat16_and_adam_go_on_exactly_too(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(other_settings, (str(tmp_path),), nprocs=2)
    whole, resumed = (load(tmp_path / work / "latest.shards") for work in ("whole", "resumed"))
    for part in ("state_dict", "optimizer"):
        assert_identical(whole[part], resumed[part], part)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(distributed=dict(type="fsdp")), "expected dict.type=....*fsdp2"),
        (dict(custom_hooks=[dict(type="EMAHook")]), "EMAHook does not go with .*averages of weights need whole"),
        (dict(fp16=dict(loss_scale=512.0)), "fp16 without dtype='bfloat16'"),
        (dict(optimizer_config=dict(cumulative_iters=2)), "cumulative_iters does not go"),
        (dict(elastic=dict(workers=4)), "elastic.batch='keep' does not go"),
        (dict(torch_compile=True), "torch_compile does not go"),
    ],
)
def test_what_does_not_go_with_shards_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    cfg = small_config(tmp_path, **{"distributed": dict(type="fsdp2"), **changes})
    with pytest.raises(ValueError, match=message):
        wants_shards(cfg)


def test_data_parallel_training_is_the_default(tmp_path: Path) -> None:
    assert not wants_shards(small_config(tmp_path))
    ensure_valid(small_config(tmp_path, distributed=dict(type="fsdp2")))
    assert not wants_shards(small_config(tmp_path, distributed=dict(type="ddp")))
    assert wants_shards(small_config(tmp_path, distributed=dict(type="fsdp2")))


def test_blocks_are_those_of_the_backbone() -> None:
    assert len(blocks_of(ResNet(depth=50))) == 3 + 4 + 6 + 3
    assert len(blocks_of(SwinTransformer(depths=(1, 1, 1, 1)))) == 4
    assert blocks_of(nn.Conv2d(1, 1, 1)) == []
