"""Numbers of a run as Ray offers them to Prometheus."""

import re
import time
from urllib.request import urlopen

import pytest

from raydet.distributed.gauges import RunCounters, WorkerGauges
from raydet.distributed.standing import Standing


def samples(text, run):
    """The numbers that raydet tells of a run, by name."""
    lines = [line for line in text.splitlines() if line.startswith("ray_raydet_") and f'run="{run}"' in line]
    return {re.match(r"ray_raydet_(\w+)", line)[1]: float(line.split()[-1]) for line in lines}


@pytest.mark.ray
@pytest.mark.slow
def test_numbers_of_workers_and_runs_are_offered_by_the_node(ray_cluster):
    import ray

    @ray.remote(num_cpus=0)
    class Worker:
        def work(self):
            self.gauges = WorkerGauges("first", 1)
            self.gauges.set({"data_wait": 0.125, "iter": 40, "gpu": None, "loss": 0.5})

    worker = Worker.remote()
    ray.get(worker.work.remote())
    RunCounters("first").update(Standing(restarts=2, lost_iterations=7))
    node = ray.nodes()[0]
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted = {"data_wait": 0.125, "iter": 40, "restarts_total": 2, "lost_iterations_total": 7}
    end = time.monotonic() + 90
    while not wanted.items() <= (found := samples(urlopen(address).read().decode(), "first")).items():
        assert time.monotonic() < end, found
        time.sleep(1)
    assert "loss" not in found
