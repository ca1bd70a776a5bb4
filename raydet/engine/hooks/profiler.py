"""Where the time of a run goes: torch.profiler over its first epochs or iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import profiler

from raydet.engine.hooks.base import Hook

_ACTIVITIES = {"cpu": profiler.ProfilerActivity.CPU, "cuda": profiler.ProfilerActivity.CUDA}


class ProfilerHook(Hook):
    """Profiles the start of a run on every rank.

    Args:
        by_epoch: `profile_iters` counts epochs, else iterations.
        profile_iters: how long to profile.
        activities: some of "cpu" and "cuda"; what the machine lacks is left out.
        schedule: arguments of `torch.profiler.schedule`, such as `dict(wait=1, warmup=1, active=2)`.
        on_trace_ready: takes the profiler; or `dict(type="log_trace", sort_by=..., row_limit=...)` for a table in the
            log, or `dict(type="tb_trace", dir_name=...)` for files that TensorBoard shows.
        record_shapes: as in `torch.profiler.profile`, like `profile_memory`, `with_stack` and `with_flops`.
        profile_memory: see there.
        with_stack: see there.
        with_flops: see there.
        json_trace_path: file for a trace that chrome://tracing shows; not together with `schedule`.
    """

    def __init__(
        self,
        by_epoch: bool = True,
        profile_iters: int = 1,
        activities: Sequence[str] = ("cpu", "cuda"),
        schedule: Mapping[str, int] | None = None,
        on_trace_ready: Callable[[Any], Any] | Mapping[str, Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        json_trace_path: str | None = None,
    ) -> None:
        unknown = [each for each in activities if each.lower() not in _ACTIVITIES]
        if unknown:
            raise ValueError(f"activities of ProfilerHook can be 'cpu' and 'cuda', got {unknown}")
        if profile_iters < 1:
            raise ValueError(f"profile_iters must be 1 at least, got {profile_iters}")
        self.by_epoch = by_epoch
        self.profile_iters = profile_iters
        self.activities = {_ACTIVITIES[each.lower()] for each in activities}
        self.schedule = None if schedule is None else profiler.schedule(**schedule)
        self.on_trace_ready = on_trace_ready
        self.json_trace_path = json_trace_path
        self.options: dict[str, Any] = {
            "record_shapes": record_shapes,
            "profile_memory": profile_memory,
            "with_stack": with_stack,
            "with_flops": with_flops,
        }
        self.profiler: profiler.profile | None = None

    def before_run(self, runner: Any) -> None:
        length, unit = (runner.max_epochs, "epochs") if self.by_epoch else (runner.max_iters, "iterations")
        if length is None or length < self.profile_iters:
            raise ValueError(f"ProfilerHook is to profile {self.profile_iters} {unit}, but the run has {length}")
        self.profiler = profiler.profile(
            activities=self.activities & set(profiler.supported_activities()),  # type: ignore[no-untyped-call]
            schedule=self.schedule,
            on_trace_ready=self._reader(runner),
            **self.options,
        )
        self.profiler.start()
        runner.logger.info(f"profiling the first {self.profile_iters} {unit}")

    def after_train_iter(self, runner: Any) -> None:
        if self.profiler is None:
            return
        self.profiler.step()
        if not self.by_epoch and runner.iter + 1 >= self.profile_iters:
            self._stop(runner)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and runner.epoch + 1 >= self.profile_iters:
            self._stop(runner)

    def after_run(self, runner: Any) -> None:
        self._stop(runner)

    def _stop(self, runner: Any) -> None:
        if self.profiler is None:
            return
        self.profiler.stop()
        if self.json_trace_path is not None:
            Path(self.json_trace_path).parent.mkdir(parents=True, exist_ok=True)
            self.profiler.export_chrome_trace(self.json_trace_path)
        runner.logger.info("profiling has ended")
        self.profiler = None

    def _reader(self, runner: Any) -> Any:
        """What to do with a finished trace."""
        if not isinstance(self.on_trace_ready, Mapping):
            return self.on_trace_ready
        options = dict(self.on_trace_ready)
        kind = options.pop("type", None)
        if kind == "log_trace":
            return lambda trace: runner.logger.info(trace.key_averages().table(**options))
        if kind == "tb_trace":
            return profiler.tensorboard_trace_handler(options.pop("dir_name", f"{runner.work_dir}/tf_tracing"))
        raise ValueError(f"on_trace_ready.type of ProfilerHook is {kind!r}, expected 'log_trace' or 'tb_trace'")
