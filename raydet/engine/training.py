"""One training run, from config to result: an ordinary function that runs alone or inside any launcher."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from raydet import __version__
from raydet.checkpoint import remove_leftovers
from raydet.config import Config, compat_cfg, ensure_valid, update_data_root
from raydet.engine.acceleration import CompileCountHook, accelerate, compile_options
from raydet.engine.bad_samples import BadSampleHook
from raydet.engine.base_runner import BaseRunner
from raydet.engine.data import MakeCarrier, carrier_for, training_carrier, training_datasets
from raydet.engine.elastic import ElasticBatch
from raydet.engine.environment import Environment, check_work_dir, from_rank_0
from raydet.engine.environment_info import environment_info
from raydet.engine.evaluating import register_evaluation
from raydet.engine.hooks.optimizer import Fp16OptimizerHook, GradientCumulativeFp16OptimizerHook
from raydet.engine.hooks.progress import ProgressHook
from raydet.engine.hooks.rf_search import rfnext_init_model
from raydet.engine.hooks.timing import StartupHook
from raydet.engine.interruption import EndTraining
from raydet.engine.lane_step import LaneStep
from raydet.engine.logging import get_logger
from raydet.engine.lr_scaling import auto_scale_lr
from raydet.engine.nan_guard import NanGuard
from raydet.engine.optimizers import build_optimizer
from raydet.engine.processes import set_up_processes
from raydet.engine.random import set_random_seed
from raydet.engine.resume import KEY
from raydet.engine.runner_constructor import build_runner
from raydet.engine.sharding import is_sharded
from raydet.engine.split_step import split_step_of
from raydet.engine.starting import Start, find_start, load_weights


@dataclass(frozen=True)
class TrainingResult:
    """What a run leaves behind.

    Attributes:
        metrics: of the last evaluation, empty without one (and on ranks other than 0).
        work_dir: logs and checkpoints.
        checkpoint: the newest one, or None.
    """

    metrics: dict[str, Any]
    work_dir: Path
    checkpoint: Path | None


@dataclass
class Phases:
    """Seconds that the phases of the start took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


def run_training(
    cfg: Config,
    environment: Environment,
    make_carrier: MakeCarrier,
    extend: Callable[[BaseRunner], None] | None = None,
) -> TrainingResult:
    """Train the model of a config. Every process of a run calls this.

    Args:
        cfg: left untouched.
        environment: where the run runs; its work dir wins over the config's.
        make_carrier: brings batches of a data set to this process.
        extend: may give the runner more hooks, once it has those of the config.

    Raises:
        ConfigError: the config names something that does not exist.
        OSError: the work dir cannot be written.
        ValueError: a checkpoint does not fit the model, a head does not fit the data set, or a setting is impossible.
        NonFiniteLossError: the loss became NaN or infinite.
    """
    phases = Phases()
    with phases.measure("config"):
        ensure_valid(cfg)
        cfg = compat_cfg(cfg)
        update_data_root(cfg)
        set_up_processes(cfg)
        check_work_dir(environment.work_dir)
        if environment.rank == 0:
            remove_leftovers(environment.work_dir)
        timestamp = from_rank_0(environment, time.strftime("%Y%m%d_%H%M%S"))
        logger = get_logger("raydet", _log_file(environment, timestamp), cfg.get("log_level", "INFO"), environment.rank)
        start = find_start(cfg, environment, logger)
        seed = _seed(cfg, environment, start)
        _prepare_torch(cfg, seed, environment.rank)
    _write_header(cfg, seed, environment, logger)
    with phases.measure("data"):
        datasets = training_datasets(cfg)
        elastic = _elastic(cfg, environment, start, datasets, seed, logger)
        carriers = _training_carriers(cfg, environment, datasets, make_carrier, seed, elastic)
    with phases.measure("model"):
        runner = _build_runner(cfg, environment, logger, datasets[0], start, seed, elastic)
    runner.timestamp = timestamp
    with contextlib.ExitStack() as closing:
        for carrier in carriers:
            closing.callback(carrier.close)
        with phases.measure("data"):
            _register_hooks(runner, cfg, environment, make_carrier, phases, closing)
            if environment.world_size > 1:
                runner.register_hook(BadSampleHook(carriers), "HIGH")
            if extend is not None:
                extend(runner)
        if start.checkpoint is not None:
            runner.resume(start.checkpoint, source=start.source)
            start.checkpoint = None  # half a gigabyte that nobody needs from here on
        logger.info(f"hooks of each stage:\n{runner.get_hook_info()}")
        try:
            runner.run(carriers, [tuple(phase) for phase in cfg.get("workflow", [("train", 1)])])
        except EndTraining as end:
            logger.info(f"the run ends here: {end}")
            runner.call_hook("after_run")
    newest = (runner.meta.get("hook_msgs") or {}).get("last_ckpt")
    return TrainingResult(dict(runner.metrics), Path(environment.work_dir), Path(newest) if newest else None)


def _elastic(
    cfg: Config, environment: Environment, start: Start, datasets: list[Any], seed: int, logger: Any
) -> ElasticBatch:
    """What the run does about its batch, after a checkpoint of another number of processes has been translated."""
    state = (start.checkpoint or {}).get("meta", {}).get(KEY)
    elastic = ElasticBatch.of(cfg, environment.world_size, state)
    if start.checkpoint is None:
        return elastic
    return elastic.take_over(start.checkpoint, cfg, datasets[_first_training(cfg)], seed, logger)


def _first_training(cfg: Config) -> int:
    return [mode for mode, _ in cfg.get("workflow", [("train", 1)])].index("train")


def _training_carriers(
    cfg: Config,
    environment: Environment,
    datasets: list[Any],
    make_carrier: MakeCarrier,
    seed: int,
    elastic: ElasticBatch,
) -> list[Any]:
    """A carrier for each phase of the workflow."""
    carriers: list[Any] = []
    for (mode, _), dataset in zip(cfg.get("workflow", [("train", 1)]), datasets, strict=True):
        if mode == "train":
            carriers.append(training_carrier(cfg, dataset, environment, make_carrier, seed, elastic))
        else:
            carriers.append(carrier_for(cfg, dataset, "train", environment, make_carrier, seed))
    return carriers


def _log_file(environment: Environment, timestamp: str) -> Path:
    """The log of the run; ranks other than 0 have theirs in a folder of their own."""
    if environment.rank == 0:
        return environment.work_dir / f"{timestamp}.log"
    return environment.work_dir / "ranks" / f"{timestamp}.rank{environment.rank}.log"


def _seed(cfg: Config, environment: Environment, start: Start) -> int:
    """The seed of the config, of the resumed run, or a new one; the same on every rank."""
    seed = cfg.get("seed")
    if seed is None:
        seed = start.seed
    if seed is None:
        seed = from_rank_0(environment, int(torch.seed() % 2**31))
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed!r}, expected an int in [0, 2**32) or None")
    return seed


def _prepare_torch(cfg: Config, seed: int, rank: int) -> None:
    if cfg.get("cudnn_benchmark", False):
        torch.backends.cudnn.benchmark = True
    set_random_seed(seed, bool(cfg.get("deterministic", False)), bool(cfg.get("diff_seed", False)), rank)


def _write_header(cfg: Config, seed: int, environment: Environment, logger: Any) -> None:
    logger.info(f"environment:\n{environment_info()}")
    logger.info(f"{environment.world_size} process(es), this one on {environment.device}")
    logger.info(f"config:\n{cfg.pretty_text}")
    logger.info(f"random seed {seed}, deterministic: {bool(cfg.get('deterministic', False))}")


def _build_runner(
    cfg: Config, environment: Environment, logger: Any, dataset: Any, start: Start, seed: int, elastic: ElasticBatch
) -> BaseRunner:
    from raydet.models import build_detector

    model: Any = build_detector(cfg["model"])
    model.CLASSES = dataset.CLASSES
    if start.checkpoint is None:
        model.init_weights()
    rfnext_init_model(model, cfg)
    if start.checkpoint is None:
        load_weights(model, start.load_from, logger)
    accelerate(model, cfg, logger)
    wrapped = environment.wrap_model(model)
    if start.checkpoint is None or cfg.get("seed") is not None:
        # Building the model drew a number of times that depends on the model; training starts from the seed itself.
        set_random_seed(seed, False, bool(cfg.get("diff_seed", False)), environment.rank)
    auto_scale_lr(cfg, environment.world_size > 1, logger, world_size=elastic.base_world_size)
    elastic.scale(cfg["optimizer"])
    runner: BaseRunner = build_runner(
        cfg["runner"],
        {
            "model": wrapped,
            "optimizer": build_optimizer(model, cfg["optimizer"]),
            "work_dir": environment.work_dir,
            "logger": logger,
            "meta": {
                "env_info": environment_info(),
                "config": cfg.pretty_text,
                "seed": seed,
                "exp_name": Path(cfg.filename).name if cfg.filename else "config",
            },
            "environment": environment,
        },
    )
    runner.guard = NanGuard(**(cfg.get("nan_guard") or {}))
    runner.guard.dump &= not is_sharded(wrapped)  # one process has not all that a step needs
    runner.elastic = elastic
    runner.split_step = split_step_of(cfg.get("avoid_oom"), max(environment.world_size, elastic.ranks))
    lanes = elastic.lanes(environment.rank)
    if len(lanes) > 1:
        runner.split_step = LaneStep([lane.weight for lane in lanes])
    runner.checkpoint_meta = {
        "raydet_version": __version__,
        "CLASSES": _plain(dataset.CLASSES),
        "PALETTE": _plain(getattr(dataset, "PALETTE", None)),
    }
    return runner


def _plain(names: Any) -> Any:
    return tuple(names) if isinstance(names, (list, tuple)) else names


def _register_hooks(
    runner: BaseRunner,
    cfg: Config,
    environment: Environment,
    make_carrier: MakeCarrier,
    phases: Phases,
    closing: contextlib.ExitStack,
) -> None:
    runner.register_training_hooks(
        cfg.get("lr_config"),
        _optimizer_hook(cfg),
        cfg.get("checkpoint_config"),
        cfg.get("log_config"),
        cfg.get("momentum_config"),
    )
    runner.register_profiler_hook(cfg.get("profiler"))
    compiling = compile_options(cfg)
    if compiling is not None:
        runner.bucket = compiling["bucket"]
        runner.register_hook(CompileCountHook(), "VERY_LOW")
    runner.register_hook(StartupHook(phases.seconds), "VERY_LOW")
    runner.register_hook(ProgressHook(), "LOWEST")
    if environment.world_size > 1 and runner.by_epoch:
        runner.register_hook_from_cfg({"type": "DistSamplerSeedHook"})
    register_evaluation(runner, cfg, environment, make_carrier, closing)
    runner.register_custom_hooks(cfg.get("custom_hooks"))


def _optimizer_hook(cfg: Config) -> Any:
    """`optimizer_config`, or its mixed-precision form when the config has `fp16`."""
    section = cfg.get("optimizer_config")
    half = cfg.get("fp16")
    if half is None or section is None or section.get("type", "OptimizerHook") == "Fp16OptimizerHook":
        return section
    arguments = {key: value for key, value in section.items() if key not in ("type", "detect_anomalous_params")}
    if "cumulative_iters" in arguments:
        return GradientCumulativeFp16OptimizerHook(**arguments, **half)
    return Fp16OptimizerHook(**arguments, **half)
