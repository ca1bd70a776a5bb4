"""Whether a run is to end now, asked by all workers after the same iteration."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.distributed as dist

from raydet.distributed.signs import PREEMPTION, RESIZE, STOP, Pulse, own_sign

_NOTHING, _LOOK, _RESIZE, _STOP = range(4)
_WISHES = {RESIZE: _RESIZE, STOP: _STOP}
_REASONS = {wish: reason for reason, wish in _WISHES.items()}


class Agreement:
    """The largest wish of all ranks, known one iteration later, so that nobody waits for it.

    Args:
        group: a process group on the CPU; None for a single process.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self._pending: tuple[Any, torch.Tensor] | None = None

    def reach(self, wish: int) -> int:
        """Send a wish and return what all agreed on before; every rank calls this after every iteration."""
        if self._group is None:
            return wish
        agreed = 0
        if self._pending is not None:
            work, value = self._pending
            work.wait()
            agreed = int(value)
        value = torch.tensor([wish])
        self._pending = dist.all_reduce(value, dist.ReduceOp.MAX, self._group, async_op=True), value
        return agreed


class StopRequests:
    """Collects what may end a run early: orders of the driver, and notices that a node goes.

    Ray's question for notices is a barrier, so all ranks ask it after the same iteration, every few seconds.

    Args:
        environment: of this worker.
        box: actor of the driver that receives signs of life.
        notice_interval: seconds between two questions for notices.
    """

    def __init__(self, environment: Any, box: Any, notice_interval: float) -> None:
        self.pulse = Pulse(box, own_sign(environment))
        self._leads = environment.rank == 0
        self._agreement = Agreement(dist.new_group(backend="gloo") if environment.world_size > 1 else None)
        self._interval = notice_interval
        self._looked = time.monotonic()

    def reason(self, iteration: int) -> str | None:
        """Why the run is to end after `iteration`, the same on all ranks, or None."""
        self.pulse.beat(iteration)
        agreed = self._agreement.reach(self._wish())
        if agreed == _LOOK:
            return self._notice()
        return _REASONS.get(agreed)

    def close(self) -> None:
        self.pulse.close()

    def _wish(self) -> int:
        if self.pulse.order is not None:
            return _WISHES[self.pulse.order]
        if self._leads and time.monotonic() - self._looked >= self._interval:
            self._looked = time.monotonic()
            return _LOOK
        return _NOTHING

    def _notice(self) -> str | None:
        import ray.train

        return None if ray.train.get_preemption_info() is None else PREEMPTION
