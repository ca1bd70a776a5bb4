"""Bad samples of two processes are judged together: one quota, one verdict, one list."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small_detector import small_config

from raydet.config import Config
from raydet.datasets import build_carrier, build_dataset
from raydet.engine import LocalEnvironment, ProcessGroupEnvironment, run_training
from raydet.engine.bad_samples import BadSampleHook, judge_bad_samples
from raydet.engine.data import carrier_for
from raydet.engine.testing import evaluate_detector
from raydet.transforms import BadSampleError


def config(folder: Path, missing: int, split: str, policy: str, quota: float) -> Config:
    """A config whose split has a number of images that do not exist; placeholders stand in when testing."""
    bad_samples = {"policy": policy, "quota": quota}
    cfg = small_config(folder, images=8, runner={"type": "EpochBasedRunner", "max_epochs": 1}, evaluation=None)
    cfg.data.bad_samples = bad_samples
    path = Path(cfg.data[split].ann_file)
    content = json.loads(path.read_text())
    for image in content["images"][:missing]:
        image["file_name"] = "absent.png"
    path.write_text(json.dumps(content))
    return cfg


def outcome(run: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    try:
        run(*arguments, **options)
    except BadSampleError as error:
        return str(error)
    return "completed"


SCENARIOS = {
    "skip": ("train", {"missing": 2, "policy": "skip", "quota": 0.1}),
    "placeholder": ("train", {"missing": 2, "policy": "placeholder", "quota": 0.1}),
    "enough quota": ("train", {"missing": 4, "policy": "placeholder", "quota": 0.5}),
    # the images of each rank alone are within its quota: one is always allowed
    "test": ("val", {"missing": 2, "policy": "skip", "quota": 0.1}),
}


def on_two_ranks(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, (split, options) in SCENARIOS.items():
        cfg = config(Path(folder, name, f"data{rank}"), split=split, **options)
        environment = ProcessGroupEnvironment(Path(folder, name, "work"), "cpu")
        if split == "train":
            result = outcome(run_training, cfg, environment, build_carrier)
        else:
            result = outcome(evaluate_detector, cfg, None, split=split, environment=environment)
        Path(folder, name, f"outcome{rank}").write_text(result)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_ranks")
    torch.multiprocessing.spawn(on_two_ranks, (str(folder),), nprocs=2)
    return folder


def outcomes(finished: Path, name: str) -> tuple[list[str], list[dict[str, Any]]]:
    """What became of each rank, and the only list of bad samples that is left."""
    [path] = Path(finished, name, "work").glob("bad_samples*")
    assert path.name == "bad_samples.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [Path(finished, name, f"outcome{rank}").read_text() for rank in (0, 1)], records


@pytest.mark.parametrize("policy", ["skip", "placeholder"])
def test_both_ranks_end_together_beyond_the_quota_of_all_samples(finished: Path, policy: str) -> None:
    (first, second), records = outcomes(finished, policy)
    assert first == second
    assert f"{len(records)} of 8 samples are bad, data.bad_samples.quota allows 10.00%" in first
    assert len(records) >= 2


def test_both_ranks_go_on_within_the_quota_and_leave_one_list(finished: Path) -> None:
    results, records = outcomes(finished, "enough quota")
    assert results == ["completed"] * 2
    assert len(records) == 4
    assert {record["rank"] for record in records} == {0, 1}
    assert all(record["file"].endswith("absent.png") for record in records)


def test_both_ranks_end_a_test_together(finished: Path) -> None:
    (first, second), records = outcomes(finished, "test")
    assert first == second
    assert "2 of 3 samples are bad" in first
    assert sorted(record["rank"] for record in records) == [0, 1]


class OneOfTwo(LocalEnvironment):
    """Rank 0 of two, where everybody answers the same."""

    world_size = 2

    def gather(self, obj: Any) -> list[Any] | None:
        raise AssertionError("nothing to ask the others")


def test_nothing_is_asked_when_bad_samples_end_the_run_anyway(tmp_path: Path) -> None:
    cfg = config(tmp_path, 0, "train", "fail", 0.0)
    environment = OneOfTwo(tmp_path, "cpu")
    carrier = carrier_for(cfg, build_dataset(cfg.data.train), "train", environment, build_carrier, 0)
    judge_bad_samples(carrier, environment)
    judge_bad_samples(object(), environment)
    carrier.close()
    assert BadSampleHook([carrier]).interval == 50
