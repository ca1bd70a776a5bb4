"""What raydet sets of Ray's own switches, in one place and with the reason why."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

TRAIN_SETTINGS = {
    # A dead worker is noticed, and a reported checkpoint is registered, within half a second; Ray's default is two.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # raydet brings rank 0's log to the driver itself; Ray's patch of print() would show lines twice.
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    # Prometheus gauges of Ray Train cost a thread per worker and nothing here reads them.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # Workers stay in the directory of the driver (or of the submitted job), where users' relative paths mean something.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Environment of the driver in a run, with `FaultTolerance.train_settings`; what the user has set already wins."""

ALONE_SETTINGS = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # nobody takes the only node away with a notice
}
"""More of it for a run on a cluster of its own."""

CLUSTER_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no call home from a training run
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # they would run through the training log
    "RAY_worker_niceness": "0",  # at Ray's default of 15, training starves beside anything else on the machine
    # A node whose network is silent for half a minute is lost; with Ray's own numbers it is a whole one.
    "RAY_health_check_period_ms": "3000",
    "RAY_health_check_timeout_ms": "4000",
    "RAY_health_check_failure_threshold": "4",
}
"""Environment of a cluster that raydet starts; its processes inherit it."""

LOOPBACK_SETTINGS = {
    # Ray's servers, those for metrics without a token too, would listen on all interfaces of the machine.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # And so would gloo. A machine without this interface finds its own way.
    **({"GLOO_SOCKET_IFNAME": "lo"} if os.path.isdir("/sys/class/net/lo") else {}),
}
"""Environment of a cluster of one machine and one run: nobody else needs to reach it."""

OWN_CLUSTER_SETTINGS = {
    **LOOPBACK_SETTINGS,
    "RAY_enable_metrics_collection": "0",  # nobody comes for what its processes would gather about themselves
}
"""Environment of the cluster that a program starts for itself and that ends with it."""

VERBOSE_VARIABLE = "RAYDET_VERBOSE"
"""Set to 1 (`--verbose`) it lets Ray say all that it has to say."""

NOISY_LOGGERS = ("ray.data", "ray.train", "ray.tune")


@contextmanager
def environment_defaults(defaults: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, and take them away again at the end."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def is_verbose() -> bool:
    """Whether the user wants to see what Ray says."""
    return os.environ.get(VERBOSE_VARIABLE, "0") not in ("", "0")


def ray_log_level() -> str:
    """From which level on Ray's libraries speak: when something is wrong, or always."""
    return "INFO" if is_verbose() else "WARNING"


def quiet_ray_loggers() -> None:
    """Let Ray's libraries speak only when something is wrong, unless the user wants to see more."""
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(ray_log_level())


def quiet_ray_data() -> None:
    """Switch off the progress bars, summaries and memory profiles of Ray Data, and keep the order of rows."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.memory_usage_poll_interval_s = None  # else every row has a thread that looks
    context.execution_options.preserve_order = True
    quiet_ray_loggers()
