"""How a run is evaluated: in line by its own processes, or elsewhere."""

from __future__ import annotations

import contextlib

from raydet.config import Config
from raydet.datasets.part import keep_part
from raydet.engine.base_runner import BaseRunner
from raydet.engine.data import MakeCarrier, carrier_for, evaluation_dataset
from raydet.engine.environment import Environment
from raydet.engine.hooks.evaluation import DistEvalHook, EvalHook
from raydet.engine.hooks.separate_evaluation import SeparateEvalHook

_OF_DISTRIBUTED = ("tmpdir", "gpu_collect", "broadcast_bn_buffer")


def register_evaluation(
    runner: BaseRunner,
    cfg: Config,
    environment: Environment,
    make_carrier: MakeCarrier,
    closing: contextlib.ExitStack,
) -> None:
    """Give a runner the hook that the config's `evaluation` asks for, if it does and there is validation data.

    Args:
        runner: gets it.
        cfg: of the run.
        environment: where the run runs.
        make_carrier: brings the validation data to this process.
        closing: closes it at the end of the run.
    """
    evaluation = dict(cfg.get("evaluation") or {})
    if not evaluation or cfg["data"].get("val") is None:
        return
    evaluation.setdefault("by_epoch", runner.by_epoch)
    evaluation.pop("type", None)
    separate = evaluation.pop("separate", None)
    fraction = evaluation.pop("fraction", 1.0)
    if environment.world_size == 1 or separate:
        evaluation = {key: value for key, value in evaluation.items() if key not in _OF_DISTRIBUTED}
    if separate and environment.evaluates_elsewhere:
        runner.register_hook(SeparateEvalHook(**evaluation), "LOW")
        return
    if separate:
        runner.logger.info("evaluation.separate is for runs on Ray; this one evaluates in line")
    dataset = evaluation_dataset(cfg, "val")
    keep_part(dataset, fraction)
    carrier = carrier_for(cfg, dataset, "val", environment, make_carrier, None)
    closing.callback(carrier.close)
    hook = DistEvalHook if environment.world_size > 1 else EvalHook
    runner.register_hook(hook(carrier, **evaluation), "LOW")
