"""Evaluating during training, and keeping the best checkpoint."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from raydet.checkpoint import remove_checkpoint
from raydet.engine.environment import from_rank_0
from raydet.engine.hooks.base import Hook
from raydet.engine.hooks.best import GREATER_KEYS, LESS_KEYS, Ranking, check_count, check_key, names, rule_of
from raydet.engine.hooks.folders import CheckpointPlace, check_backend
from raydet.engine.hooks.logger import LoggerHook
from raydet.engine.parallel import unwrap
from raydet.engine.random import load_random_state, random_state
from raydet.engine.sharding import checkpoint_path, gathered
from raydet.engine.shares import collect_results, measure_shares, stays_in_shares
from raydet.engine.testing import predict_share


class EvalHook(CheckpointPlace, Hook):
    """Evaluates every `interval` epochs or iterations, each rank on its share of the data.

    Args:
        dataloader: carrier of the validation set.
        start: first epoch (iteration) after which to evaluate; when a run begins at or after it, also at once.
        interval: epochs (iterations) between evaluations.
        by_epoch: count epochs, else iterations.
        save_best: name of the metric whose best checkpoint is kept, or "auto" for the first metric.
        keep_best: how many of the best checkpoints are kept.
        rule: "greater" or "less" is better; found from the name of the metric when None.
        test_fn: `(model, carrier) -> results in the order of the data set`, instead of the usual test run.
        greater_keys: metrics for which greater is better.
        less_keys: metrics for which less is better.
        out_dir: folder of the best checkpoint, as in `CheckpointHook`; a URI sends it there as well.
        file_client_args: accepted for 2.x configs.
        dynamic_intervals: pairs `(from epoch, interval)` that replace `interval` later on.
        **eval_kwargs: passed to `dataset.evaluate`, such as `metric="bbox"`.

    Attributes:
        keep_results: whether others want `latest_results`; the same on every rank.
        latest_results: of the last evaluation, until somebody takes them.
    """

    continues_stage = True
    broadcast_bn_buffer = True

    def __init__(
        self,
        dataloader: Any,
        start: int | None = None,
        interval: int = 1,
        by_epoch: bool = True,
        save_best: str | None = None,
        rule: str | None = None,
        test_fn: Callable[[Any, Any], list[Any]] | None = None,
        greater_keys: str | Sequence[str] | None = None,
        less_keys: str | Sequence[str] | None = None,
        out_dir: str | None = None,
        file_client_args: Mapping[str, Any] | None = None,
        dynamic_intervals: Sequence[tuple[int, int]] | None = None,
        keep_best: int = 1,
        **eval_kwargs: Any,
    ) -> None:
        check_backend(file_client_args, out_dir)
        _check_numbers(interval, start)
        if not hasattr(dataloader, "dataset"):
            raise TypeError(f"EvalHook needs a carrier with a dataset, got {type(dataloader).__name__}")
        self.dataloader = dataloader
        self.start = start
        self.interval = interval
        self.by_epoch = by_epoch
        self.test_fn = test_fn
        self.out_dir = out_dir
        self.eval_kwargs = eval_kwargs
        self.initial_flag = True
        self.keep_results = False
        self.latest_results: list[Any] | None = None
        self.greater_keys = names(greater_keys, GREATER_KEYS)
        self.less_keys = names(less_keys, LESS_KEYS)
        self.save_best = save_best
        self.keep_best = check_count(keep_best)
        self.rule = rule
        self.key_indicator: str | None = None
        if save_best is not None:
            self._init_rule(rule, save_best)
        stages = [(0, interval), *sorted(tuple(pair) for pair in dynamic_intervals or [])]
        self.dynamic_milestones, self.dynamic_intervals = [s for s, _ in stages], [i for _, i in stages]

    def before_train_epoch(self, runner: Any) -> None:
        if self.by_epoch:
            self._choose_interval(runner.epoch)
            self._evaluate_at_once(runner, runner.epoch)

    def before_train_iter(self, runner: Any) -> None:
        if not self.by_epoch:
            self._choose_interval(runner.iter)
            self._evaluate_at_once(runner, runner.iter)

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and self._should_evaluate(runner):
            self._do_evaluate(runner)

    def after_train_iter(self, runner: Any) -> None:
        if not self.by_epoch and self._should_evaluate(runner):
            # The loggers come later in this stage: they must write the training record before it is replaced.
            for hook in runner.hooks:
                if isinstance(hook, LoggerHook):
                    hook.after_train_iter(runner)
            runner.log_buffer.clear()
            self._do_evaluate(runner)

    def evaluate(self, runner: Any, results: list[Any]) -> float | None:
        """Compute the metrics of `results`, log them, and return the one that chooses the best checkpoint."""
        return self._record(runner, self.dataloader.dataset.evaluate(results, logger=runner.logger, **self.eval_kwargs))

    def _record(self, runner: Any, metrics: Mapping[str, Any]) -> float | None:
        runner.log_buffer.output.update(metrics)
        runner.log_buffer.ready = True
        runner.metrics = dict(metrics)
        if self.save_best is None:
            return None
        if not metrics:
            runner.logger.warning("the evaluation gave no metric, so no best checkpoint is chosen")
            return None
        if self.key_indicator == "auto" or self.key_indicator is None:
            self._init_rule(self.rule, next(iter(metrics)))
        check_key(str(self.key_indicator), metrics)
        return float(metrics[str(self.key_indicator)])

    def _do_evaluate(self, runner: Any) -> None:
        share = self._test(runner)
        runner.note_evaluation()
        if runner.environment.rank == 0:
            runner.log_buffer.output["eval_iter_num"] = len(self.dataloader)
        score = self._measure(runner, share)
        # The others wait for rank 0 here, where waiting may take hours, and not in a collective of the next step.
        runner.environment.gather(None)
        if self.save_best is not None:
            placed = from_rank_0(runner.environment, self._place(runner, score))
            if placed is not None:
                path, dropped = placed
                self._save_best(runner, path, dropped)

    def _measure(self, runner: Any, share: list[Any] | None) -> float | None:
        """The number that chooses the best checkpoint, on rank 0."""
        dataset, environment = self.dataloader.dataset, runner.environment
        as_usual = self.test_fn is None and not self.keep_results and type(self).evaluate is EvalHook.evaluate
        if share is not None and as_usual and stays_in_shares(dataset, environment, self.eval_kwargs):
            metrics = measure_shares(share, dataset, environment, runner.logger, self.eval_kwargs)
            return None if metrics is None else self._record(runner, metrics)
        results = share if self.test_fn is not None or share is None else collect_results(share, dataset, environment)
        if results is None:
            return None
        score = self.evaluate(runner, results)
        self.latest_results = results if self.keep_results else None
        return score

    def _test(self, runner: Any) -> list[Any] | None:
        """What this rank found, or what `test_fn` gives; draws of the training run are left as they were."""
        state = random_state()
        model = unwrap(runner.model)
        if self.broadcast_bn_buffer and runner.world_size > 1:
            _share_batch_norm(model)
        training = model.training
        try:
            if self.test_fn is not None:
                return self.test_fn(model, self.dataloader)
            with gathered(model):
                return predict_share(model, self.dataloader, runner.environment)
        finally:
            model.train(training)
            load_random_state(state)

    def _should_evaluate(self, runner: Any) -> bool:
        done = (runner.epoch if self.by_epoch else runner.iter) + 1
        if self.start is None:
            return bool(done % self.interval == 0)
        return bool(done >= self.start and (done - self.start) % self.interval == 0)

    def _evaluate_at_once(self, runner: Any, progress: int) -> None:
        begins = self.initial_flag and runner.inner_iter == 0  # not when a run goes on in the middle of an epoch
        if begins and self.start is not None and progress >= self.start and self._should_evaluate(runner):
            self._do_evaluate(runner)
        self.initial_flag = False

    def _choose_interval(self, progress: int) -> None:
        self.interval = self.dynamic_intervals[bisect(self.dynamic_milestones, progress + 1) - 1]

    def _init_rule(self, rule: str | None, key_indicator: str) -> None:
        if rule not in (None, "greater", "less"):
            raise KeyError(f"evaluation.rule is {rule!r}, expected 'greater', 'less' or None")
        self.key_indicator = key_indicator
        if rule is not None or key_indicator == "auto":
            self.rule = rule
            return
        self.rule = rule_of(key_indicator, self.greater_keys, self.less_keys)

    def _progress(self, runner: Any) -> tuple[int, str]:
        return (runner.epoch + 1, "epoch") if self.by_epoch else (runner.iter + 1, "iter")

    def _place(self, runner: Any, score: float | None) -> tuple[Path, list[str]] | None:
        """The file of this evaluation and those that it drives out of the best; None when it is not among them."""
        if not score or math.isnan(score):
            return None
        count, unit = self._progress(runner)
        name = f"best_{self.key_indicator}_{unit}_{count}.pth"
        path = checkpoint_path(runner.model, Path(self.out_dir or runner.work_dir, name))
        messages = runner.meta.setdefault("hook_msgs", {})
        kept = dict(messages.get("best_ckpts") or {})
        if not kept and "best_ckpt" in messages:
            kept = {messages["best_ckpt"]: messages["best_score"]}
        scores = {**kept, str(path): score}
        best = Ranking(str(self.key_indicator), str(self.rule)).best(scores, self.keep_best)
        if str(path) not in best:
            return None
        messages.update(best_score=scores[best[0]], best_ckpt=best[0], best_ckpts={name: scores[name] for name in best})
        return path, [name for name in kept if name not in best]

    def _save_best(self, runner: Any, path: Path, dropped: list[str]) -> None:
        states = runner.gather_rank_states()
        runner.save_checkpoint(path.parent, filename_tmpl=path.name, create_symlink=False, rank_states=states)
        if runner.rank != 0:
            return
        if self._store is not None:
            self._store.send(path, path)
            self._store.remove(Path(name).name for name in dropped)
        for name in dropped:
            remove_checkpoint(Path(name))
        messages, (count, unit) = runner.meta["hook_msgs"], self._progress(runner)
        rank = "best" if messages["best_ckpt"] == str(path) else f"one of the {self.keep_best} best"
        runner.logger.info(f"Now {rank} checkpoint is saved as {path.name}.")
        runner.logger.info(f"Best {self.key_indicator} is {messages['best_score']:0.4f} at {count} {unit}.")


class DistEvalHook(EvalHook):
    """The 2.x name of `EvalHook` in a run of several processes.

    Args:
        dataloader: carrier of the validation set.
        broadcast_bn_buffer: every rank evaluates with the batch norm statistics of rank 0.
        tmpdir: accepted for 2.x configs, like `gpu_collect`; results are gathered on rank 0.
        gpu_collect: see there.
        **kwargs: as in `EvalHook`.
    """

    def __init__(
        self,
        dataloader: Any,
        broadcast_bn_buffer: bool = True,
        tmpdir: str | None = None,
        gpu_collect: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataloader, **kwargs)
        self.broadcast_bn_buffer = broadcast_bn_buffer


def _share_batch_norm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            dist.broadcast(module.running_mean, 0)
            dist.broadcast(module.running_var, 0)


def _check_numbers(interval: int, start: int | None) -> None:
    if interval <= 0:
        raise ValueError(f"evaluation.interval must be positive, got {interval}")
    if start is not None and start < 0:
        raise ValueError(f"evaluation.start must not be negative, got {start}")
