"""The training loop, hooks, optimisers, schedules and loggers. Knows nothing of the launcher it runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raydet.lazy import names_from

if TYPE_CHECKING:
    from raydet.checkpoint import load_checkpoint, save_checkpoint
    from raydet.engine.avoid_oom import AvoidCUDAOOM, AvoidOOM
    from raydet.engine.data import MakeCarrier
    from raydet.engine.environment import Environment, LocalEnvironment, ProcessGroupEnvironment
    from raydet.engine.finite import NonFiniteLossError
    from raydet.engine.hooks.base import Hook, Priority
    from raydet.engine.hooks.logger import LoggerHook
    from raydet.engine.hooks.rf_search import rfnext_init_model
    from raydet.engine.hooks.updater import LrUpdaterHook, MomentumUpdaterHook
    from raydet.engine.inference import inference_detector, init_detector
    from raydet.engine.logging import get_logger
    from raydet.engine.lr_scaling import auto_scale_lr
    from raydet.engine.optimizers import DefaultOptimizerConstructor, build_optimizer
    from raydet.engine.parallel import is_module_wrapper
    from raydet.engine.random import set_random_seed
    from raydet.engine.runner import EpochBasedRunner, IterBasedRunner
    from raydet.engine.runner_constructor import DefaultRunnerConstructor, build_runner
    from raydet.engine.testing import evaluate_file, run_test, test
    from raydet.engine.training import TrainingResult, run_training

_PLACES = {
    "AvoidCUDAOOM": "raydet.engine.avoid_oom",
    "AvoidOOM": "raydet.engine.avoid_oom",
    "DefaultOptimizerConstructor": "raydet.engine.optimizers",
    "DefaultRunnerConstructor": "raydet.engine.runner_constructor",
    "Environment": "raydet.engine.environment",
    "EpochBasedRunner": "raydet.engine.runner",
    "Hook": "raydet.engine.hooks.base",
    "IterBasedRunner": "raydet.engine.runner",
    "LocalEnvironment": "raydet.engine.environment",
    "LoggerHook": "raydet.engine.hooks.logger",
    "LrUpdaterHook": "raydet.engine.hooks.updater",
    "MakeCarrier": "raydet.engine.data",
    "MomentumUpdaterHook": "raydet.engine.hooks.updater",
    "NonFiniteLossError": "raydet.engine.finite",
    "Priority": "raydet.engine.hooks.base",
    "ProcessGroupEnvironment": "raydet.engine.environment",
    "TrainingResult": "raydet.engine.training",
    "auto_scale_lr": "raydet.engine.lr_scaling",
    "build_optimizer": "raydet.engine.optimizers",
    "build_runner": "raydet.engine.runner_constructor",
    "evaluate_file": "raydet.engine.testing",
    "get_logger": "raydet.engine.logging",
    "inference_detector": "raydet.engine.inference",
    "init_detector": "raydet.engine.inference",
    "is_module_wrapper": "raydet.engine.parallel",
    "load_checkpoint": "raydet.checkpoint",
    "rfnext_init_model": "raydet.engine.hooks.rf_search",
    "run_test": "raydet.engine.testing",
    "run_training": "raydet.engine.training",
    "save_checkpoint": "raydet.checkpoint",
    "set_random_seed": "raydet.engine.random",
    "test": "raydet.engine.testing",
}

__all__ = [
    "AvoidCUDAOOM",
    "AvoidOOM",
    "DefaultOptimizerConstructor",
    "DefaultRunnerConstructor",
    "Environment",
    "EpochBasedRunner",
    "Hook",
    "IterBasedRunner",
    "LocalEnvironment",
    "LoggerHook",
    "LrUpdaterHook",
    "MakeCarrier",
    "MomentumUpdaterHook",
    "NonFiniteLossError",
    "Priority",
    "ProcessGroupEnvironment",
    "TrainingResult",
    "auto_scale_lr",
    "build_optimizer",
    "build_runner",
    "evaluate_file",
    "get_logger",
    "inference_detector",
    "init_detector",
    "is_module_wrapper",
    "load_checkpoint",
    "rfnext_init_model",
    "run_test",
    "run_training",
    "save_checkpoint",
    "set_random_seed",
    "test",
]
__getattr__ = names_from(__name__, _PLACES)
