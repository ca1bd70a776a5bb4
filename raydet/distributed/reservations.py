"""What Ray has reserved for training workers: it looks for nodes every twenty seconds, and forgets the dead after 180.

Only elastic runs ask how much there is for them; with old answers they start with fewer workers than there is room for,
or wait for nodes that are gone.
"""

from __future__ import annotations

import contextlib
from typing import Any

_TIMEOUT = 10.0


def refresh() -> None:
    """Let Ray look now which nodes there are."""
    _ask("get_reserved_resources", "raydet", recompute=True)


def release(run_id: str) -> None:
    """Give back what a controller had reserved that died before it could do so.

    Args:
        run_id: Ray Train's, see `own_run_id`.
    """
    _ask("cancel_request", requester_id=f"train-{run_id}")


def own_run_id() -> str:
    """Ray Train's name for what the controller of this worker runs; another one after each start of a controller."""
    from ray.train.v2._internal.execution.context import get_train_context

    return str(get_train_context().train_run_context.run_id)


def _ask(question: str, *arguments: Any, **options: Any) -> None:
    import ray
    from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import (
        get_or_create_autoscaling_coordinator,
    )

    with contextlib.suppress(ray.exceptions.RayError):  # the run goes on with the old answers
        coordinator = get_or_create_autoscaling_coordinator()
        ray.get(getattr(coordinator, question).remote(*arguments, **options), timeout=_TIMEOUT)
