"""Runs of several models that are interrupted anywhere and resumed end exactly like undisturbed ones."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from interrupted_runs import Stop, assert_same_run, interrupted, logged, one_of_several, train
from resumable import CONFIGS
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from raydet.checkpoint import load

# The switch to plain images comes at 4.
POINTS = [("retinanet", 3), ("mask_rcnn", 5), *(("mixed_retinanet", at) for at in (3, 4, 7)), ("yolox", 5), ("ddod", 5)]
LENGTHS = {**dict.fromkeys(CONFIGS, 8), "yolox_tiny": 24}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], Any]]:
    """Checkpoint and logged numbers of each model's run."""
    runs = {}
    for name, make in CONFIGS.items():
        folder = tmp_path_factory.mktemp(name)
        runs[name] = train(make(folder), folder / "work"), logged(folder / "work")
    return runs


@pytest.mark.parametrize(("name", "at"), POINTS)
def test_resume_in_the_middle_ends_bit_identical(name: str, at: int, undisturbed: Any, tmp_path: Path) -> None:
    cfg = CONFIGS[name](tmp_path)
    with pytest.raises(Stop):
        train(interrupted(cfg, at), tmp_path / "work")
    resumed = train(cfg, tmp_path / "work", resume=True)
    whole, numbers = undisturbed[name]
    assert_same_run(whole, resumed)
    assert logged(tmp_path / "work") == numbers
    assert len(numbers) == 8


def test_runs_have_what_their_names_say(undisturbed: Any) -> None:
    weights = {name: set(run["state_dict"]) for name, (run, _) in undisturbed.items()}
    assert any("mask_head" in key for key in weights["mask_rcnn"])
    assert any(key.startswith("ema_") for key in weights["mixed_retinanet"])


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute to one on idle cores
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("name", LENGTHS)
def test_resume_after_all_processes_were_killed_ends_bit_identical(name: str, processes: int, tmp_path: Path) -> None:
    at = random.Random(f"{name} {processes}").randrange(3, LENGTHS[name])
    last = f"iter_{LENGTHS[name]}.pth"
    print(f"{name}: {processes} processes are killed before iteration {at}")
    with pytest.raises((ProcessExitedException, ProcessRaisedException)):
        torch.multiprocessing.spawn(one_of_several, (processes, str(tmp_path), name, at), nprocs=processes)
    assert not (tmp_path / "work" / last).exists()
    torch.multiprocessing.spawn(one_of_several, (processes, str(tmp_path), name, None), nprocs=processes)
    assert_same_run(*(load(tmp_path / work / last) for work in ("whole", "work")))
    assert logged(tmp_path / "whole") == logged(tmp_path / "work")
    assert len([mode for mode, *_ in logged(tmp_path / "work") if mode == "train"]) == LENGTHS[name]
