"""Numbers of a run as Ray metrics, which the nodes of a cluster offer to Prometheus.

Setting one costs a microsecond and no thread; Ray's own metrics of Train stay off, see `settings.TRAIN_SETTINGS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raydet.distributed.standing import Standing

GAUGES = {
    "iter": "iterations done",
    "data_wait": "part of the time spent waiting for batches, 0 to 1",
    "samples_per_s": "samples per second of this worker",
    "cpu": "CPUs in use by this worker",
    "gpu": "busy part of the GPU's time, 0 to 1",
    "gpu_memory": "bytes of GPU memory that tensors took at most",
    "bytes_in_flight": "bytes of batches on their way from the data actors",
}


class WorkerGauges:
    """The gauges `raydet_*` of one worker, tagged with run and rank; made when first set."""

    def __init__(self, run: str, rank: int) -> None:
        self._tags = {"run": run, "rank": str(rank)}
        self._gauges: dict[str, Any] = {}

    def set(self, numbers: Mapping[str, Any]) -> None:
        """Set those of `GAUGES` that `numbers` holds."""
        from ray.util.metrics import Gauge

        for name, description in GAUGES.items():
            value = numbers.get(name)
            if value is None:
                continue
            if name not in self._gauges:
                self._gauges[name] = Gauge(f"raydet_{name}", description, tuple(self._tags))
            self._gauges[name].set(float(value), self._tags)


class RunCounters:
    """The counters of a run in the process that started it: restarts and iterations done twice."""

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Counter

        tags = {"run": run}
        self._restarts = Counter("raydet_restarts", "restarts after lost workers", tuple(tags))
        self._lost = Counter("raydet_lost_iterations", "iterations done twice because of restarts", tuple(tags))
        self._told = (0, 0)
        for each in (self._restarts, self._lost):
            each.set_default_tags(tags)

    def update(self, standing: Standing) -> None:
        """Raise the counters to the totals of the run."""
        totals = (standing.restarts, standing.lost_iterations)
        for counter, before, now in zip((self._restarts, self._lost), self._told, totals, strict=True):
            if now > before:
                counter.inc(now - before)
        self._told = totals
