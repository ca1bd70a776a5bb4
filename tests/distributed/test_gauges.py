"""Numbers of a run as Ray offers them to Prometheus."""

import time
from urllib.request import urlopen

import pytest

from raydet.distributed.gauges import RunCounters, WorkerGauges
from raydet.distributed.standing import Standing


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
    wanted = (
        "ray_raydet_data_wait{",
        "ray_raydet_iter{",
        "ray_raydet_restarts_total{",
        "ray_raydet_lost_iterations_total{",
    )
    end = time.monotonic() + 90
    while not all(name in (text := urlopen(address).read().decode()) for name in wanted):
        assert time.monotonic() < end, [line for line in text.splitlines() if "raydet" in line]
        time.sleep(1)
    (line,) = [line for line in text.splitlines() if line.startswith("ray_raydet_data_wait{")]
    assert 'run="first"' in line
    assert 'rank="1"' in line
    assert line.endswith(" 0.125")
    assert "ray_raydet_loss" not in text
