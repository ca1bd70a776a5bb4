"""`raydet tune --dry-run`: a few points of a sweep, and whether the configs that they make are sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raydet.config import Config, ConfigDict, check_config
from raydet.search.draft import merged
from raydet.search.file import Sweep
from raydet.search.keys import all_keys, look_up
from raydet.search.space import Draw, Rejected
from raydet.search.templates import FIXED_KEY

WIDTH = 100


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
        if isinstance(point, Rejected):
            rejected += 1
            say(f"point {number}: rejected: {point}")
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


def draw_points(sweep: Sweep, num: int) -> list[Draw | Rejected]:
    """The first points of a sweep as a random sampler draws them."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=sweep.seed))
    grid = sweep.space.grid() if sweep.search.sampler == "grid" else []
    for point in [*sweep.points, *grid][:num]:
        study.enqueue_trial(point)
    points: list[Draw | Rejected] = []
    for _ in range(num):
        try:
            points.append(sweep.space.draw(study.ask(), sweep.config))
        except Rejected as outcome:
            points.append(outcome)
    return points


def describe(point: Draw, base: Config) -> list[str]:
    """What a point changes, key by key, and what is known of it."""
    values = dict(base.items())
    lines = [f"{key}: {_short(look_up(key, values))} -> {_short(value)}" for key, value in point.options.items()]
    return [*lines, *(f"({name} {value:.3f})" for name, value in point.facts.items())]


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


def _short(value: Any) -> str:
    if isinstance(value, dict):
        value = {
            key: each
            for key, each in (value.to_dict() if isinstance(value, ConfigDict) else value).items()
            if key != "_delete_"
        }
    text = f"{value:.4g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
