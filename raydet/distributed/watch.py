"""The driver's watch over the workers of a run: hangs, lost time, room for more workers, requests to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raydet.distributed.fault_tolerance import FaultTolerance
from raydet.distributed.resources import Capacity, NodeGroup, ResourcePlan
from raydet.distributed.signs import RESIZE, STOP, Sign, newest_group
from raydet.distributed.stacks import save_stacks
from raydet.distributed.storage import RunFolder

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Restart:
    """One time that a run went on with new workers.

    Attributes:
        cause: what ended the old ones.
        iteration: iterations done at the checkpoint that the run went on from.
        lost_iterations: done again, as far as the driver had heard of them.
        seconds: between the last iteration of the old workers and the first of the new ones.
        noticed: seconds between the last iteration of the old workers and the end of them being noticed.
        workers: number of the new ones.
    """

    cause: str
    iteration: int
    lost_iterations: int
    seconds: float
    noticed: float
    workers: int

    def __str__(self) -> str:
        lost = f"{self.lost_iterations} iteration{'s' * (self.lost_iterations != 1)}"
        return (
            f"went on after {self.cause}: from iteration {self.iteration} with {self.workers} "
            f"worker{'s' * (self.workers != 1)}; {lost} and {self.seconds:.1f} s were lost"
        )


class Watch:
    """Looks at the signs of life of one run, once a second, and orders what has to be done.

    Args:
        box: actor that receives the signs.
        faults: limits and times.
        plan: workers and their resources.
        folder: of the run.
        say: prints a line.
        tell: adds an event to the record of the run.
    """

    def __init__(
        self,
        box: Any,
        faults: FaultTolerance,
        plan: ResourcePlan,
        folder: RunFolder,
        say: Callable[[str], None],
        tell: Tell,
    ) -> None:
        self.restarts: list[Restart] = []
        self._cause, self._noticed = "a lost worker", 0.0
        self.stopping = False
        self._box = box
        self._faults = faults
        self._plan = plan
        self._folder = folder
        self._say = say
        self._tell = tell
        self._group = ""
        self._position: tuple[int, float] | None = None  # the last iteration and when it was done
        self._waits_for_step = False
        self._hung = ""
        self._looked_for_room = time.monotonic()
        self._had_room = False
        self._resized = ""
        self.run_id = ""

    def look(self) -> None:
        """Act on what the workers tell."""
        import ray

        signs = newest_group(ray.get(self._box.signs.remote(), timeout=30))
        if not signs:
            return
        self.run_id = signs[0].run_id
        self._account(signs)
        self._look_for_hang(signs)
        if self.stopping:
            self._box.order.remote(STOP)
        elif self._plan.is_elastic:
            self._look_for_room(signs)

    def note(self, cause: str, at: float) -> None:
        """Keep what ended the workers, and when that was noticed."""
        self._cause, self._noticed = cause, at

    def begin(self) -> None:
        """Workers are about to start: old orders are void."""
        self._box.order.remote(None)
        self._looked_for_room, self._had_room = time.monotonic(), False

    def _account(self, signs: list[Sign]) -> None:
        """Follow the position of the run; at the first step of new workers, say what was lost."""
        done = [sign for sign in signs if sign.iteration is not None]
        if signs[0].group != self._group:
            self._group, self._waits_for_step = signs[0].group, self._position is not None
        if not done:
            return
        furthest = max(done, key=lambda sign: sign.iteration or 0)
        assert furthest.iteration is not None
        assert furthest.first is not None
        if self._waits_for_step and self._position is not None:
            self._waits_for_step = False
            iteration, at = self._position
            seconds = max(furthest.at - furthest.idle - at, 0.0)
            lost = max(iteration - furthest.first, 0)
            noticed = min(max(self._noticed - at, 0.0), seconds)
            restart = Restart(
                self._cause, furthest.first, lost, round(seconds, 1), round(noticed, 1), furthest.world_size
            )
            self.restarts.append(restart)
            self._say(f"raydet: {restart}")
            self._tell("restart", vars(restart))
        if self._position is None or self._position[0] != furthest.iteration:
            self._position = furthest.iteration, furthest.at - furthest.idle

    def _look_for_hang(self, signs: list[Sign]) -> None:
        limit, now = self._faults.hang_timeout, time.time()
        silent = [sign for sign in signs if limit is not None and sign.silence(now) > limit]
        if not silent or self._hung == signs[0].group:
            return
        self._hung = signs[0].group
        restarts = self._faults.on_hang == "restart"
        self._say(
            f"raydet: no progress for {max(sign.silence(now) for sign in silent):.0f} s on "
            f"rank {', '.join(str(sign.rank) for sign in silent)}; saving the stacks of all ranks"
            + (" and starting the workers again" if restarts else "")
        )
        name = save_stacks(signs, self._folder, kill=restarts)
        self._say(f"raydet: the stacks are in {self._folder}/{name}")
        self._tell("hang", {"ranks": [sign.rank for sign in silent], "stacks": name, "action": self._faults.on_hang})

    def _look_for_room(self, signs: list[Sign]) -> None:
        """Order a checkpoint and new workers when two looks in a row found room for more of them."""
        group, world = signs[0].group, signs[0].world_size
        early = time.monotonic() - self._looked_for_room < self._faults.resize_interval
        if early or signs[0].iteration is None or group == self._resized:
            return
        self._looked_for_room = time.monotonic()
        room = int(min(free_slots(self._plan.worker), self._plan.most_workers - world))
        if room > 0 and self._had_room:
            self._say(f"raydet: there is room for {world + room} workers instead of {world}; saving a checkpoint first")
            self._box.order.remote(RESIZE, group)
            self._resized = group
        self._had_room = room > 0


def free_slots(bundle: Mapping[str, float]) -> float:
    """How many bundles fit on what nodes have free, those that are about to go left out."""
    from ray._private.state import available_resources_per_node, state

    going = state.get_draining_nodes()
    free = [resources for node, resources in available_resources_per_node().items() if node not in going]
    return Capacity([NodeGroup(resources) for resources in free]).slots(bundle)
