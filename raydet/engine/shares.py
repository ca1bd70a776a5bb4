"""What each rank found in its share of a data set: brought together, or measured where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raydet.engine.environment import Environment
from raydet.evaluation.shares import can_share, evaluate_share


def collect_results(share: list[Any], dataset: Any, environment: Environment) -> list[Any] | None:
    """One result per sample in the order of the data set on rank 0, None elsewhere; every rank calls this.

    Args:
        share: results of the samples rank, rank + world_size, ...
        dataset: the data set.
        environment: where the run runs.

    Raises:
        RuntimeError: there are more or fewer results than samples.
    """
    shares = environment.gather(share)
    if shares is None:
        return None
    results: list[Any] = [None] * sum(len(each) for each in shares)
    if len(results) != len(dataset):
        raise RuntimeError(f"{len(results)} results for the {len(dataset)} samples of the data set")
    for rank, each in enumerate(shares):
        results[rank :: len(shares)] = each
    return results


def stays_in_shares(dataset: Any, environment: Environment, options: Mapping[str, Any]) -> bool:
    """Whether the ranks can measure what they found, so that results need not travel."""
    return environment.world_size > 1 and can_share(dataset, **options)


def measure_shares(
    share: list[Any], dataset: Any, environment: Environment, logger: Any, options: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Metrics on rank 0, None elsewhere; every rank calls this.

    Args:
        share: as for `collect_results`.
        dataset: one for which `stays_in_shares` is true.
        environment: where the run runs.
        logger: where tables go.
        options: of `dataset.evaluate`.

    Raises:
        RuntimeError: there are more or fewer results than samples.
    """
    positions = range(environment.rank, len(dataset), environment.world_size)
    if len(share) != len(positions):
        raise RuntimeError(f"{len(share)} results for the {len(positions)} samples of rank {environment.rank}")
    return evaluate_share(dataset, share, positions, environment.gather, logger=logger, **options)
