"""Asking for evaluations that others make, so that training does not wait."""

from __future__ import annotations

from typing import Any

from raydet.engine.hooks.evaluation import EvalHook


class SeparateEvalHook(EvalHook):
    """Asks the environment to evaluate a checkpoint elsewhere when `EvalHook` would evaluate.

    What is evaluated is the checkpoint that another hook has just written, else one that is written for it. The
    results, the choice of the best checkpoint and the log are the evaluator's.

    Args:
        **kwargs: as in `EvalHook`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(_Elsewhere(), **kwargs)

    def before_run(self, runner: Any) -> None:
        if self.out_dir is not None:
            raise ValueError("evaluation.out_dir is for evaluations in line; separate ones write to the run folder")

    def _do_evaluate(self, runner: Any) -> None:
        count, unit = self._progress(runner)
        if runner.last_checkpoint is None:
            states = runner.gather_rank_states()
            runner.note_checkpoint(runner.save_checkpoint(runner.work_dir, rank_states=states))
        at_end = self.is_last_epoch(runner) if self.by_epoch else self.is_last_iter(runner)
        iterations = runner.iter if self.by_epoch else count
        runner.evaluation_request = {
            "name": f"{unit}_{count}",
            "epoch": runner.epoch + 1,
            "iter": iterations,
            "at_end": bool(at_end),
        }


class _Elsewhere:
    """Stands for the data, which only the evaluator reads."""

    dataset = None
