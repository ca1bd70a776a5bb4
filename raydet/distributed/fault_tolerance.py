"""The `fault_tolerance` section of a config: which faults a run survives, how often and how fast."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields, replace
from typing import Any

ON_HANG = ("restart", "report")
_COUNTS = ("max_failures", "max_preemption_failures", "controller_failure_limit")
FIXED_START, ELASTIC_START = 180.0, 15.0


@dataclass(frozen=True)
class FaultTolerance:
    """Limits and times of the handling of faults; times are in seconds, and a count of -1 is no limit.

    Args:
        max_failures: restarts after lost workers and errors that a restart may cure.
        max_preemption_failures: restarts on other nodes after a notice that a node goes; counted apart.
        controller_failure_limit: attempts to place the workers, and controllers lost, before a run is given up.
        back_off: wait before a second restart without a new checkpoint since the first; doubles from there on.
        max_back_off: where the doubling ends.
        start_timeout: of one attempt to place the workers; 180 when None, since new nodes boot in minutes, and 15 for
            elastic runs, which start with the nodes that are there.
        worker_timeout: a worker process that answers no question for so long is lost.
        collective_timeout: a rank waits so long for the others in a collective operation.
        hang_timeout: no rank may go so long without an iteration or a batch, evaluations included; None never looks.
        on_hang: "restart" the workers then, or only "report" it; both save the stacks of all ranks.
        grace: for the checkpoint of a run that has to stop, when nobody says how long there is.
        notice_interval: between two looks whether a node is about to go.
        resize_interval: between two looks whether there is room for more workers.
    """

    max_failures: int = 3
    max_preemption_failures: int = -1
    controller_failure_limit: int = 10
    back_off: float = 5.0
    max_back_off: float = 60.0
    start_timeout: float | None = None
    worker_timeout: float = 180.0
    collective_timeout: float = 1800.0
    hang_timeout: float | None = 1800.0
    on_hang: str = "restart"
    grace: float = 30.0
    notice_interval: float = 2.0
    resize_interval: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @classmethod
    def of(cls, cfg: Any, **given: Any) -> FaultTolerance:
        """The section of a config; what is `given` and not None goes before it.

        Raises:
            ValueError: a name or a value is impossible.
        """
        section = dict(cfg.get("fault_tolerance") or {})
        known = [field.name for field in fields(cls)]
        for name in section:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, 1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; expected some of {', '.join(known)}"
                raise ValueError(f"fault_tolerance.{name} is no setting{hint}{_place(cfg)}")
        try:
            return replace(cls(**section), **{name: value for name, value in given.items() if value is not None})
        except ValueError as error:
            raise ValueError(f"{error}{_place(cfg)}") from None

    def train_settings(self, elastic: bool) -> dict[str, str]:
        """Ray Train's own switches that say the same."""
        start = self.start_timeout or (ELASTIC_START if elastic else FIXED_START)
        return {
            "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": f"{self.worker_timeout:g}",
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": f"{start:g}",
            "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": f"{self.notice_interval / 2:g}",
        }

    def wait_before(self, restart: int) -> float:
        """Seconds to wait before a restart; 1 is the first one since the last checkpoint."""
        return 0.0 if restart < 2 else min(self.back_off * 2.0 ** min(restart - 2, 30), self.max_back_off)


def _check(name: str, value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in _COUNTS:
        good, wanted = number and value == int(value) and value >= -1, "a whole number of -1 (no limit) at least"
    elif name == "on_hang":
        good, wanted = value in ON_HANG, f"one of {', '.join(map(repr, ON_HANG))}"
    elif name in ("back_off", "max_back_off", "grace"):
        good, wanted = number and value >= 0, "seconds, 0 at least"
    elif name in ("start_timeout", "hang_timeout"):
        good, wanted = value is None or (number and value > 0), "seconds above 0, or None"
    else:
        good, wanted = number and value > 0, "seconds above 0"
    if not good:
        raise ValueError(f"fault_tolerance.{name} is {value!r}, expected {wanted}")


def _place(cfg: Any) -> str:
    where = getattr(cfg, "where", None)
    place = where("fault_tolerance") if callable(where) else None
    return f" ({place})" if place else ""
