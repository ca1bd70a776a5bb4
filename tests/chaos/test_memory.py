"""Ray's own guard of memory kills a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import assert_equal, weights

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.slow]
ROOM = 5e9
"""Bytes that the cluster may take beyond what the machine uses now."""


def used_and_total():
    known = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(known[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total - available, total


@pytest.fixture
def watched_cluster(environment, monkeypatch):
    """A cluster that kills workers when the memory of the machine grows too much."""
    import ray

    used, total = used_and_total()
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{min((used + ROOM) / total, 0.95):.3f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    ray.init(address="local", num_cpus=2, object_store_memory=100 * 1024**2, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_worker_killed_for_its_memory(watched_cluster, chaos, calm):
    result = chaos.train(chaos.config("eat_memory", at=8), max_failures=-1)
    assert chaos.hurt(8)
    assert result.restarts
    chaos.assert_same_batches_again()
    assert_equal(weights(result), calm)
    chaos.row("30 memory", "a worker eats memory until Ray kills it", "the run", result.restarts)
