"""Saving checkpoints at intervals and keeping the last of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from raydet.checkpoint import remove_checkpoint
from raydet.engine.hooks.base import Hook
from raydet.engine.hooks.folders import CheckpointPlace, check_backend
from raydet.engine.sharding import checkpoint_path


class CheckpointHook(CheckpointPlace, Hook):
    """Saves a checkpoint every `interval` epochs or iterations. Every rank calls it; rank 0 writes.

    Args:
        interval: epochs or iterations between checkpoints; -1 for none but the last.
        by_epoch: count epochs, else iterations (also in the middle of an epoch).
        save_optimizer: also save the optimiser, which resuming needs.
        out_dir: folder of the checkpoints, inside which a folder is named like the work dir; the work dir when None.
            With a URI such as `s3://bucket/runs` they are sent there while training goes on, and only the newest one
            stays in the work dir, where a run that is resumed looks for it.
        max_keep_ckpts: how many of this hook's checkpoints are kept; -1 for all.
        save_last: save at the end of the run as well.
        sync_buffer: accepted for 2.x configs; batch norm statistics of rank 0 are saved.
        file_client_args: accepted for 2.x configs; `out_dir` says where the folder is.
        **kwargs: passed to `runner.save_checkpoint`, such as `meta`, `filename_tmpl` or `create_symlink`.
    """

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        out_dir: str | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        sync_buffer: bool = False,
        file_client_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_backend(file_client_args, out_dir)
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.args = kwargs
        self.filename_tmpl: str = kwargs.get("filename_tmpl") or ("epoch_{}.pth" if by_epoch else "iter_{}.pth")

    def after_train_epoch(self, runner: Any) -> None:
        due = self.every_n_epochs(runner, self.interval) or (self.save_last and self.is_last_epoch(runner))
        if self.by_epoch and due:
            runner.logger.info(f"Saving checkpoint at {runner.epoch + 1} epochs")
            self._save(runner, runner.epoch + 1)

    def after_train_iter(self, runner: Any) -> None:
        due = self.every_n_iters(runner, self.interval) or (self.save_last and self.is_last_iter(runner))
        if not self.by_epoch and due:
            runner.logger.info(f"Saving checkpoint at {runner.iter + 1} iterations")
            self._save(runner, runner.iter + 1)

    def _save(self, runner: Any, number: int) -> None:
        assert self.out_dir is not None
        arguments = {**self.args, "filename_tmpl": self.filename_tmpl.format(number)}
        if runner.meta is not None:
            path = checkpoint_path(runner.model, Path(self.out_dir, arguments["filename_tmpl"]))
            runner.meta.setdefault("hook_msgs", {})["last_ckpt"] = str(path)
        path = runner.save_checkpoint(
            self.out_dir,
            save_optimizer=self.save_optimizer,
            rank_states=runner.gather_rank_states(),
            **arguments,
        )
        runner.note_checkpoint(path)
        if self._store is not None:
            self._store.send(path)
        if runner.rank == 0 and self.max_keep_ckpts > 0:
            self._remove_old(number, path.suffix)

    def _remove_old(self, number: int, suffix: str) -> None:
        """Remove what is older than the newest `max_keep_ckpts`, up to the first gap."""
        old = range(number - self.max_keep_ckpts * self.interval, 0, -self.interval)
        names = (str(Path(self.filename_tmpl.format(each)).with_suffix(suffix)) for each in old)
        if self._store is not None:
            self._store.remove(names)
            return
        paths = (Path(self.out_dir or ".", name) for name in names)
        for path in takewhile(Path.exists, paths):
            remove_checkpoint(path)
