"""Running a small function with an Environment in Ray Train workers."""

import json
import time
from pathlib import Path

import pytest
from ray_workers import count_to_four

from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.launch import Launch, TrainingFailed
from raydet.distributed.monitor import Monitor, Startup
from raydet.distributed.resources import ResourcePlan
from raydet.distributed.storage import open_run_folder

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def launch(tmp_path, num_workers=2, max_failures=1, name="run", resume=False, **job):
    folder = open_run_folder(tmp_path, name, stem="x", resume=resume)
    plan = ResourcePlan(num_workers, {"CPU": 1.0}, 0, 0.0)
    lines = []
    with Monitor(Startup(), lines.append) as monitor:
        job = {"folder": folder, "box": monitor.box, **job}
        result = Launch(plan, folder, faults=FaultTolerance(max_failures=max_failures)).run(count_to_four, job, monitor)
    return result, folder, lines


def test_launch_with_killed_worker_goes_on_from_newest_checkpoint(ray_cluster, tmp_path):
    result, folder, lines = launch(tmp_path, kill=(1, 2))
    assert result["gathered"] == [(0, 2), (1, 2)]
    assert any("going on from the last checkpoint" in line for line in lines)
    snapshot = json.loads((folder.local / "checkpoint_manager_snapshot.json").read_text())
    assert [r["metrics"] for r in snapshot["checkpoint_results"]] == [{"step": 4}]
    assert (folder.local / "iter_1.pth").exists()


def test_launch_with_mistake_of_program_raises_it_without_restart(ray_cluster, tmp_path):
    began = time.monotonic()
    with pytest.raises(KeyError, match="zebra") as caught:
        launch(tmp_path, num_workers=1, max_failures=3, mistake=(0, 1))
    assert "training worker 0" in str(caught.value.__cause__)
    assert time.monotonic() - began < 60
    assert isinstance(caught.value.__cause__, TrainingFailed)
    assert Path(tmp_path, "run", "iter_1.pth").exists()
