"""Optuna's samplers, made anew for every draw, so that it depends on its seed and on what is known alone."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from raydet.search.settings import SearchSettings

_STARTUP = {"tpe": "n_startup_trials", "gp": "n_startup_trials", "cmaes": "n_startup_trials"}
_TYPES = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "random": "RandomSampler",
    "grid": "RandomSampler",  # its points are given, see `raydet.search.study`
}
_DEFAULTS: dict[str, Mapping[str, Any]] = {
    # Parameters are drawn together, those of each choice among themselves, and away from trials that still run.
    "tpe": {"multivariate": True, "group": True, "constant_liar": True, "warn_independent_sampling": False},
    "gp": {"warn_independent_sampling": False},
    "cmaes": {"warn_independent_sampling": False},
}


def draw_seed(seed: int, number: int) -> int:
    """The seed of a trial, in [0, 2**31): its draw and its run start from it.

    Args:
        seed: of the sweep.
        number: of the trial.
    """
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 2**31


def make_sampler(settings: SearchSettings, seed: int, num_objectives: int = 1) -> Any:
    """The sampler for one draw.

    Args:
        settings: which one.
        seed: of the draw.
        num_objectives: that it is to serve.

    Raises:
        ValueError: the sampler has no such option, or cannot serve several objectives.
        ImportError: a package is missing that it needs.
    """
    import optuna

    if settings.sampler == "cmaes":
        _check_cmaes(num_objectives)
    kind = getattr(optuna.samplers, _TYPES[settings.sampler])
    options = {**_DEFAULTS.get(settings.sampler, {}), **settings.options, "seed": seed}
    if settings.startup is not None and settings.sampler in _STARTUP:
        options[_STARTUP[settings.sampler]] = settings.startup
    _check_options(settings, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls what raydet chooses experimental, at every draw
        return kind(**options)


def _check_cmaes(num_objectives: int) -> None:
    if num_objectives > 1:
        raise ValueError(
            f"search.sampler is 'cmaes', which improves one objective, and the sweep has {num_objectives}; "
            "use tpe, nsga2, nsga3 or gp"
        )
    try:
        import cmaes  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "search.sampler is 'cmaes', which needs the package cmaes; pip install 'raydet[tune]'"
        ) from error


def _check_options(settings: SearchSettings, kind: Any) -> None:
    known = set(inspect.signature(kind).parameters)
    unknown = sorted(set(settings.options) - known)
    if unknown:
        raise ValueError(
            f"search.options has {', '.join(map(repr, unknown))}, which {settings.sampler!r} does not know; "
            f"it has {', '.join(sorted(known - {'seed'}))}"
        )
