"""The log of a run as text lines and as json lines."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raydet.engine.hooks.folders import check_backend, copy_into, folder_below
from raydet.engine.hooks.logger import LoggerHook
from raydet.engine.logging import redact
from raydet.transforms.object_store import shown

_NOT_IN_TEXT = ("mode", "Epoch", "iter", "lr", "time", "data_time", "memory", "epoch")


class TextLoggerHook(LoggerHook):
    """Writes one text line per record to the logger and one json line to `<timestamp>.log.json` in the work dir.

    Args:
        interval_exp_name: iterations between lines that repeat the name of the run.
        out_dir: folder or URI to which the log files are copied at the end, under the name of the work dir.
        out_suffix: endings of the files that are copied.
        keep_local: keep the files in the work dir after copying them.
        file_client_args: accepted for 2.x configs; `out_dir` says where the folder is.
        **options: `interval`, `ignore_last`, `reset_flag` and `by_epoch`, as in `LoggerHook`.
    """

    def __init__(
        self,
        interval_exp_name: int = 1000,
        out_dir: str | None = None,
        out_suffix: str | tuple[str, ...] = (".log.json", ".log", ".py"),
        keep_local: bool = True,
        file_client_args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_backend(file_client_args, out_dir)
        self.interval_exp_name = interval_exp_name
        self.out_dir = out_dir
        self.out_suffix = out_suffix if isinstance(out_suffix, str) else tuple(out_suffix)
        self.keep_local = keep_local
        self.time_sec_tot = 0.0
        self.start_iter = 0
        self.json_log_path: Path | None = None

    def before_run(self, runner: Any) -> None:
        super().before_run(runner)
        self.start_iter = runner.iter

    def start(self, runner: Any) -> None:
        if runner.work_dir is not None:
            self.json_log_path = Path(runner.work_dir, f"{runner.timestamp}.log.json")
        if runner.meta is not None:
            self.write(runner.meta)

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one json line (rank 0 only)."""
        if self.json_log_path is None:
            return
        with self.json_log_path.open("a", encoding="utf-8") as file:
            file.write(redact(json.dumps(_rounded(record), default=str)) + "\n")

    def log(self, runner: Any) -> None:
        record = self.record(runner)
        self._announce(runner)
        runner.logger.info(self.line(record, runner))
        self.write(record)

    def record(self, runner: Any) -> dict[str, Any]:
        """The numbers of one record by the names of 2.x."""
        output = runner.log_buffer.output
        mode = self.get_mode(runner)
        # An evaluation reports how many batches it had in the place of the iteration.
        iteration = output.pop("eval_iter_num", None) or self.get_iter(runner, inner_iter=True)
        rates = runner.current_lr()
        lr = {name: each[0] for name, each in rates.items()} if isinstance(rates, dict) else rates[0]
        record: dict[str, Any] = {"mode": mode, "epoch": self.get_epoch(runner), "iter": iteration, "lr": lr}
        if "time" in output and torch.cuda.is_available():
            record["memory"] = int(torch.cuda.max_memory_allocated() / 2**20)
        return {**record, **output}

    def line(self, record: Mapping[str, Any], runner: Any) -> str:
        """The text line of a record."""
        if record["mode"] == "train":
            where = (
                f"Epoch [{record['epoch']}][{record['iter']}/{len(runner.data_loader)}]"
                if self.by_epoch
                else f"Iter [{record['iter']}/{runner.max_iters}]"
            )
            parts = self._pace(record, runner)
        else:
            where = f"Epoch(val) [{record['epoch']}]" if self.by_epoch else "Iter(val) "
            where, parts = f"{where}[{record['iter']}]", []
        parts += [
            f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}"
            for name, value in record.items()
            if name not in _NOT_IN_TEXT
        ]
        return f"{where}\t{', '.join(parts)}"

    def finish(self, runner: Any) -> None:
        folder = folder_below(self.out_dir, runner.work_dir)
        if folder == str(runner.work_dir):
            return
        for path in sorted(Path(runner.work_dir).iterdir()):
            if path.name.endswith(self.out_suffix):
                copy_into(path, folder)
                runner.logger.info(f"copied {path} to {shown(folder)}")
                if not self.keep_local:
                    path.unlink()

    def state_dict(self) -> dict[str, Any]:
        return {"time_sec_tot": self.time_sec_tot, "start_iter": self.start_iter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.time_sec_tot = state["time_sec_tot"]
        self.start_iter = state["start_iter"]

    def _announce(self, runner: Any) -> None:
        name = (runner.meta or {}).get("exp_name")
        due = self.every_n_iters(runner, self.interval_exp_name) or (self.by_epoch and self.end_of_epoch(runner))
        if name is not None and due:
            runner.logger.info(f"Exp name: {name}")

    def _pace(self, record: Mapping[str, Any], runner: Any) -> list[str]:
        """Learning rate, time that is left, times per iteration and memory."""
        lr = record["lr"]
        rates = {f"lr_{name}": value for name, value in lr.items()} if isinstance(lr, dict) else {"lr": lr}
        parts = [" ".join(f"{name}: {value:.3e}" for name, value in rates.items())]
        if "time" in record:
            self.time_sec_tot += record["time"] * self.interval
            average = self.time_sec_tot / max(runner.iter - self.start_iter + 1, 1)
            left = datetime.timedelta(seconds=int(average * (runner.max_iters - runner.iter - 1)))
            parts += [f"eta: {left}", f"time: {record['time']:.3f}", f"data_time: {record.get('data_time', 0.0):.3f}"]
        if "memory" in record:
            parts.append(f"memory: {record['memory']}")
        return parts


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, 5) if isinstance(value, float) else value
