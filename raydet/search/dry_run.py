"""`raydet tune --dry-run`: a few points of a sweep, and whether the configs that they make are sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from raydet.config import Config, ConfigError, check_config
from raydet.config.merging import DELETE_KEY
from raydet.search.draft import merged
from raydet.search.file import Sweep
from raydet.search.keys import all_keys, look_up
from raydet.search.space import Draw, Rejected
from raydet.search.templates import FIXED_KEY

WIDTH = 100
ABSENT: Any = object()


def dry_run(sweep: Sweep, num: int = 8, say: Callable[[str], None] = print) -> int:
    """Draw points, say what they change, and check the configs; nothing runs.

    Warm starts come first, then those of the grid, then random ones.

    Args:
        sweep: the sweep.
        num: points to draw.
        say: takes each line.

    Returns:
        How many problems were found.
    """
    problems = _problems(sweep.config, sweep.config)
    for problem in problems:
        say(f"in the base config: {problem}")
    known, count, rejected = set(problems), len(problems), 0
    for number, point in enumerate(draw_points(sweep, num)):
        if isinstance(point, Exception):
            rejected += isinstance(point, Rejected)
            count += isinstance(point, ConfigError)
            say(f"point {number}: {'rejected' if isinstance(point, Rejected) else 'WRONG'}: {point}")
            continue
        say(f"point {number}:")
        for line in describe(point, sweep.config):
            say(f"  {line}")
        changed = Config(merged(sweep.config, point.options))
        for problem in [each for each in _problems(changed, sweep.config) if each not in known]:
            count += 1
            say(f"  WRONG: {problem}")
    wrong = "1 problem" if count == 1 else f"{count} problems"
    say(f"{num} points of {len(sweep.space.parameters())} parameters, {rejected} rejected, {wrong}")
    return count


def draw_points(sweep: Sweep, num: int) -> list[Draw | Rejected | ConfigError]:
    """The first points of a sweep as a random sampler draws them, and what stands in the way of others."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=sweep.seed))
    grid = sweep.space.grid() if sweep.search.sampler == "grid" else []
    for point in [*sweep.points, *grid][:num]:
        study.enqueue_trial(point)
    points: list[Draw | Rejected | ConfigError] = []
    for _ in range(num):
        try:
            points.append(sweep.space.draw(study.ask(), sweep.config))
        except (Rejected, ConfigError) as outcome:
            points.append(outcome)
    return points


def describe(point: Draw, base: Config) -> list[str]:
    """What a point changes, key by key, and what is known of it."""
    old, new = (
        {name: leaf for key in point.options for name, leaf in _leaves(key, look_up(key, values, {}))}
        for values in (base._cfg_dict, merged(base, point.options))
    )
    changed = [name for name in {**new, **old} if old.get(name, ABSENT) != new.get(name, ABSENT)]
    lines = [f"{name}: {_short(old.get(name, ABSENT))} -> {_short(new.get(name, ABSENT))}" for name in sorted(changed)]
    return [*(lines or ["as the base config"]), *(f"({name} {value:.3f})" for name, value in point.facts.items())]


def _problems(config: Config, base: Config) -> list[str]:
    """What is wrong with a config, also numbers of classes that the base config does not have."""
    values, known = dict(config.items()), dict(base.items())
    allowed = {look_up(key, known) for key in all_keys(known) if key.endswith(f".{FIXED_KEY}")}
    wrong = [
        f"{key}: {look_up(key, values)!r} classes; the base config has {', '.join(map(str, allowed))}"
        for key in all_keys(values)
        if key.endswith(f".{FIXED_KEY}") and look_up(key, values) not in allowed
    ]
    return [*map(str, check_config(config)), *wrong]


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values within a value, by dotted key; lists count as one."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, inner in value.items():
        if name != DELETE_KEY:
            yield from _leaves(f"{key}.{name}", inner)


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "(none)" if value is ABSENT else repr(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
