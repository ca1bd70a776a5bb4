"""How much memory machine and process use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raydet.engine.hooks.base import Hook


class MemoryProfilerHook(Hook):
    """Logs memory and swap of the machine and memory of this process, in MB. Reads `/proc`, so it is for Linux.

    Args:
        interval: iterations between lines.
    """

    def __init__(self, interval: int = 50) -> None:
        if not Path("/proc/meminfo").exists():
            raise RuntimeError("MemoryProfilerHook reads /proc/meminfo, which this system lacks; remove the hook")
        self.interval = interval

    def after_iter(self, runner: Any) -> None:
        if self.every_n_iters(runner, self.interval):
            runner.logger.info(f"Memory information {describe_memory()}")


def describe_memory() -> str:
    """The numbers in the form of 2.x."""
    machine, process = _megabytes("/proc/meminfo"), _megabytes("/proc/self/status")
    total, free = machine["MemTotal"], machine["MemAvailable"]
    swap, free_swap = machine.get("SwapTotal", 0), machine.get("SwapFree", 0)
    return (
        f"available_memory: {free} MB, used_memory: {total - free} MB, "
        f"memory_utilization: {100 * (total - free) / total:.1f} %, available_swap_memory: {free_swap} MB, "
        f"used_swap_memory: {swap - free_swap} MB, swap_memory_utilization: "
        f"{100 * (swap - free_swap) / max(swap, 1):.1f} %, current_process_memory: {process['VmRSS']} MB"
    )


def _megabytes(path: str) -> dict[str, int]:
    """The lines `name: number kB` of a file."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) // 1024 for words in lines if len(words) == 3 and words[2] == "kB"}
