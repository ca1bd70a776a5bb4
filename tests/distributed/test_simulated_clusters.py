"""Whole runs on simulated clusters: pools of labelled nodes, and nodes that an autoscaler brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raydet.distributed.clusters.simulate import parse_nodes, running

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
HERE = Path(__file__).parent


def run_on(nodes, autoscaled, arguments):
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}.items():
            patch.setenv(name, value)
        with running(parse_nodes(nodes), parse_nodes(autoscaled)) as environment:
            finished = subprocess.run(
                [sys.executable, str(HERE / "pools_run.py"), *map(str, arguments)],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                timeout=480,
            )
    assert finished.returncode == 0, finished.stdout + finished.stderr[-4000:]
    return finished.stdout.splitlines()


def test_run_trains_on_one_node_and_augments_on_another(coco, tmp_path):
    said = run_on(["head:0", "train:1", "data:2"], [], [*coco, tmp_path])
    assert "nodes before 3" in said
    assert "finished True ['data-data', 'train-train-0']" in said


def test_run_asks_an_empty_cluster_for_nodes_which_come_and_go(coco, tmp_path):
    said = run_on(["head:0"], ["train:2x2"], [*coco, tmp_path, "--autoscaled"])
    assert "nodes before 1" in said
    assert any(line.startswith("refused: the cluster's autoscaler can never give 9 workers") for line in said)
    assert any(line.startswith("asking the cluster's autoscaler for 2 workers of 1 CPU") for line in said)
    assert "nodes after 3" in said
    assert "finished True ['data-train', 'train-train-0', 'train-train-1']" in said
    assert "nodes at last 1" in said
