"""The position of a run and the states of its parts: what going on exactly needs beside weights and optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from raydet.engine.hooks.updater import ValueUpdater
from raydet.engine.parallel import unwrap
from raydet.engine.rank_state import RankState, columns

VERSION = 1
KEY = "raydet"


def snapshot(runner: Any, rank_states: Sequence[RankState] | None) -> dict[str, Any]:
    """What `meta["raydet"]` of a checkpoint holds, as plain data and tensors.

    In the middle of a stage, the current iteration (epoch) counts as done; `stage` and `after` say which hooks had
    their turn, so that a resumed run can let the others have theirs.
    """
    stage, position = runner.stage
    return {
        "version": VERSION,
        "epoch": runner.epoch,
        "iter": runner.iter + (stage == "after_train_iter"),
        "batch": runner.batch + (stage == "after_train_iter"),
        "stage": stage if stage in ("after_train_iter", "after_train_epoch") else None,
        "after": _name_of(runner.hooks, position) if position is not None else None,
        "world_size": runner.world_size,
        **runner.elastic.state(runner.epoch),
        **columns(rank_states),
        "model": _state_of(runner.model),
        "hooks": {_name_of(runner.hooks, i): hook.state_dict() for i, hook in _stateful(runner.hooks)},
        "log_buffer": runner.log_buffer.state_dict(),
        "metrics": {k: v for k, v in runner.metrics.items() if isinstance(v, (bool, int, float, str))},
    }


def load_hook_states(runner: Any, state: Mapping[str, Any]) -> None:
    """Give every hook what it saved; hooks that are new or gone are said."""
    saved = dict(state.get("hooks", {}))
    for position, hook in _stateful(runner.hooks):
        own = saved.pop(_name_of(runner.hooks, position), None)
        if own:
            hook.load_state_dict(own)
    lost = [name for name, own in saved.items() if own]
    if lost:
        runner.logger.warning(f"the checkpoint holds states of hooks that this run does not have: {', '.join(lost)}")


def load_model_state(runner: Any, state: Mapping[str, Any]) -> None:
    """Give a model what it wants besides its weights, see `training_state` of a model that has it."""
    own, model = state.get("model"), unwrap(runner.model)
    if own and hasattr(model, "load_training_state"):
        model.load_training_state(own)


def finish_stage(runner: Any, state: Mapping[str, Any]) -> None:
    """Let the hooks that came after the checkpoint in its stage have their turn, if they want it."""
    if state["stage"] == "after_train_iter":
        _set_rates(runner)
    names = [_name_of(runner.hooks, i) for i in range(len(runner.hooks))]
    start = names.index(state["after"]) + 1 if state["after"] in names else len(names)
    for hook in runner.hooks[start:]:
        if getattr(hook, "continues_stage", False):
            getattr(hook, state["stage"])(runner)


def _set_rates(runner: Any) -> None:
    """Put back the rates of an iteration, since an epoch that begins or goes on sets those it would begin with."""
    for hook in runner.hooks:
        if isinstance(hook, ValueUpdater):
            hook.before_train_iter(runner)


def check_same_model(model: nn.Module, state_dict: Mapping[str, Any], source: str) -> None:
    """Refuse to resume with the weights of another model.

    Raises:
        ValueError: keys or shapes differ; moving averages (`ema_*`) do not count.
    """
    own = unwrap(model).state_dict()
    missing = [key for key in own if key not in state_dict]
    foreign = [key for key in state_dict if key not in own and not key.startswith("ema_")]
    shapes = [
        f"{key} {tuple(state_dict[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    parts = [
        f"{len(found)} {what} ({', '.join(found[:3])}{', ...' if len(found) > 3 else ''})"
        for what, found in (("keys missing", missing), ("unknown keys", foreign), ("other shapes", shapes))
        if found
    ]
    if parts:
        raise ValueError(
            f"the checkpoint {source} is of another model: {'; '.join(parts)}. Resume with the config of that run, "
            "or start from its weights with load_from"
        )


def _state_of(model: nn.Module) -> Any:
    own = unwrap(model)
    return own.training_state() if hasattr(own, "training_state") else None


def _stateful(hooks: list[Any]) -> list[tuple[int, Any]]:
    # A 2.x hook need not derive from ours.
    return [(i, hook) for i, hook in enumerate(hooks) if hasattr(hook, "state_dict")]


def _name_of(hooks: list[Any], position: int) -> str:
    """The class of a hook, numbered when there are several of it."""
    name = type(hooks[position]).__name__
    earlier = sum(type(hook).__name__ == name for hook in hooks[:position])
    return f"{name}.{earlier}" if earlier else name
