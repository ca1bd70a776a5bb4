"""Giving hooks to a runner: by object, by dict, and by the sections of a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from raydet.engine.hooks.base import STAGES, Priority, get_priority
from raydet.registry import HOOKS


class HookRegistration:
    """The `register_*` methods of a runner. Sections are dicts of a config, or built hooks."""

    by_epoch: ClassVar[bool] = True
    """Whether the sections of a training run count epochs unless they say otherwise."""
    _hooks: list[Any]

    def register_hook(self, hook: Any, priority: int | str | Priority = "NORMAL") -> None:
        """Add a hook behind those of the same or a higher priority."""
        hook.priority = number = get_priority(priority)
        later = (i for i, other in enumerate(self._hooks) if get_priority(other.priority) > number)
        self._hooks.insert(next(later, len(self._hooks)), hook)

    def register_hook_from_cfg(self, hook_cfg: Mapping[str, Any]) -> None:
        """Build a hook from its dict and add it with the priority that the dict may name."""
        arguments = _copy(hook_cfg)
        priority = arguments.pop("priority", "NORMAL")
        self.register_hook(HOOKS.build(arguments), priority)

    def register_lr_hook(self, lr_config: Any) -> None:
        self._register_schedule(lr_config, "LrUpdaterHook", "lr_config", Priority.VERY_HIGH)

    def register_momentum_hook(self, momentum_config: Any) -> None:
        self._register_schedule(momentum_config, "MomentumUpdaterHook", "momentum_config", Priority.HIGH)

    def register_optimizer_hook(self, optimizer_config: Any) -> None:
        self._register(optimizer_config, "OptimizerHook", Priority.ABOVE_NORMAL)

    def register_checkpoint_hook(self, checkpoint_config: Any) -> None:
        self._register(checkpoint_config, "CheckpointHook", Priority.NORMAL)

    def register_timer_hook(self, timer_config: Any) -> None:
        self._register(timer_config, "IterTimerHook", Priority.LOW)

    def register_profiler_hook(self, profiler_config: Any) -> None:
        self._register(profiler_config, "ProfilerHook", Priority.NORMAL)

    def register_logger_hooks(self, log_config: Mapping[str, Any] | None) -> None:
        """Add every logger of `log_config`; they share its interval unless they have their own."""
        for info in (log_config or {}).get("hooks", []):
            default = {"interval": log_config["interval"]} if log_config and "interval" in log_config else None
            self.register_hook(HOOKS.build(info, default), Priority.VERY_LOW)

    def register_custom_hooks(self, custom_config: Any) -> None:
        """Add hooks of the user: one or a list of dicts or objects."""
        if custom_config is None:
            return
        for item in custom_config if isinstance(custom_config, (list, tuple)) else [custom_config]:
            if isinstance(item, Mapping):
                self.register_hook_from_cfg(item)
            else:
                self.register_hook(item, "NORMAL")

    def register_training_hooks(
        self,
        lr_config: Any,
        optimizer_config: Any = None,
        checkpoint_config: Any = None,
        log_config: Any = None,
        momentum_config: Any = None,
        timer_config: Any = None,
        custom_hooks_config: Any = None,
    ) -> None:
        """Add the hooks of a training run, each at its place."""
        self.register_lr_hook(self._counted(lr_config))
        self.register_momentum_hook(momentum_config)
        self.register_optimizer_hook(optimizer_config)
        self.register_checkpoint_hook(self._counted(checkpoint_config))
        self.register_timer_hook(timer_config or {"type": "IterTimerHook"})
        if log_config is not None:
            self.register_logger_hooks(
                {**log_config, "hooks": [self._counted(each) for each in log_config.get("hooks", [])]}
            )
        self.register_custom_hooks(custom_hooks_config)

    def get_hook_info(self) -> str:
        """The hooks of each stage in the order in which they act."""
        lines = []
        for stage in STAGES:
            active = [hook for hook in self._hooks if stage in getattr(hook, "get_triggered_stages", lambda: STAGES)()]
            if active:
                names = [f"({_priority_name(hook.priority):<12}) {type(hook).__name__:<35}" for hook in active]
                lines.append("\n".join([f"{stage}:", *names, " -------------------- "]))
        return "\n".join(lines)

    def _counted(self, section: Any) -> Any:
        """A section whose hook counts like the runner unless it says otherwise."""
        if self.by_epoch or not isinstance(section, Mapping) or "by_epoch" in section:
            return section
        counted = _copy(section)
        counted["by_epoch"] = False
        return counted

    def _register(self, section: Any, default_type: str, priority: Priority) -> None:
        if section is None:
            return
        hook = HOOKS.build(section, {"type": default_type}) if isinstance(section, Mapping) else section
        self.register_hook(hook, priority)

    def _register_schedule(self, section: Any, suffix: str, name: str, priority: Priority) -> None:
        if section is None:
            return
        if isinstance(section, Mapping):
            arguments = _copy(section)
            policy = arguments.pop("policy", None)
            if not isinstance(policy, str):
                raise ValueError(f"{name} needs a policy such as 'step' or 'CosineAnnealing', got {dict(section)!r}")
            # 'step' is written small in configs, 'CosineAnnealing' is not.
            arguments["type"] = f"{policy.title() if policy == policy.lower() else policy}{suffix}"
            section = HOOKS.build(arguments)
        self.register_hook(section, priority)


def _copy(section: Mapping[str, Any]) -> Any:
    """A shallow copy that still knows where its keys were written."""
    copy = getattr(section, "copy", None)
    return copy() if copy is not None else dict(section)


def _priority_name(priority: Any) -> str:
    number = get_priority(priority)
    return next((each.name for each in Priority if each.value == number), str(number))
