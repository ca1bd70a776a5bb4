"""What a run does about its batch when the number of its processes changes: `elastic` of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raydet.datasets import IndexPlan, loader_settings, make_plan
from raydet.datasets.lanes import Lane, lanes_of
from raydet.datasets.resharding import ORDERS, Cut, first_batch
from raydet.engine.resume import KEY

POLICIES = ("keep", "scale_lr")


@dataclass(frozen=True)
class ElasticBatch:
    """The batch of a run whose number of processes may change.

    Args:
        world_size: processes now.
        batch: "keep" divides the batch of `workers` processes among those that there are; "scale_lr" lets it shrink and
            grow, and the learning rate in proportion; None lets it do so at the same learning rate.
        workers: processes that batch size and learning rate of the config are meant for; `world_size` when None.
        cuts: how far other numbers of ranks had come in the epoch `cut_epoch`.
        cut_epoch: see there.
    """

    world_size: int
    batch: str | None = None
    workers: int | None = None
    cuts: tuple[Cut, ...] = ()
    cut_epoch: int = 0

    @classmethod
    def of(cls, cfg: Any, world_size: int, state: Mapping[str, Any] | None = None) -> ElasticBatch:
        """What the config says, and the checkpoint of the run where the config is silent.

        Raises:
            ValueError: a setting is impossible.
        """
        section = dict(cfg.get("elastic") or {})
        unknown = sorted(set(section) - {"batch", "workers"})
        if unknown:
            raise ValueError(f"elastic.{unknown[0]} is no setting, expected batch and workers")
        if not section:
            return cls(world_size)
        batch = section.get("batch", "keep")
        workers = section.get("workers")
        if workers is None:
            workers = (state or {}).get("workers") or world_size
        if batch not in POLICIES:
            raise ValueError(f"elastic.batch is {batch!r}, expected one of {', '.join(map(repr, POLICIES))}")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"elastic.workers is {workers!r}, expected a number of processes or None")
        if batch == "keep" and workers < world_size:
            raise ValueError(
                f"elastic.batch='keep' divides the batch of elastic.workers={workers} processes, and this run has "
                f"{world_size}; raise elastic.workers or lower num_workers"
            )
        return cls(world_size, batch, workers)

    @property
    def ranks(self) -> int:
        """Ranks of the index plan."""
        return self.workers or self.world_size if self.batch == "keep" else self.world_size

    @property
    def lr_factor(self) -> float:
        """What the learning rate of the config is multiplied by."""
        return self.world_size / (self.workers or self.world_size) if self.batch == "scale_lr" else 1.0

    @property
    def base_world_size(self) -> int:
        """Processes that the learning rate is meant for before `lr_factor` applies."""
        return (self.workers if self.batch else None) or self.world_size

    def lanes(self, rank: int) -> list[Lane]:
        """The ranks of the plan that a process stands in for."""
        return lanes_of(rank, self.world_size, self.ranks)

    def loader_options(self) -> dict[str, Any]:
        """What `data` says beside the config's own settings."""
        options: dict[str, Any] = {} if self.ranks == self.world_size else {"ranks": self.ranks}
        return {**options, "cuts": self.cuts, "cut_epoch": self.cut_epoch} if self.cuts else options

    def state(self, epoch: int) -> dict[str, Any]:
        """What a checkpoint remembers."""
        cuts = [list(cut) for cut in self.cuts] if epoch == self.cut_epoch else []
        return {"ranks": self.ranks, "workers": self.workers, "lr_factor": self.lr_factor, "cuts": cuts}

    def scale(self, optimizer: Any) -> None:
        """Apply `lr_factor` to the settings of an optimiser, or of each in a dict of them, in place."""
        for each in [optimizer] if "type" in optimizer else optimizer.values():
            if isinstance(each, dict) and "lr" in each:
                each["lr"] *= self.lr_factor

    def take_over(self, checkpoint: dict[str, Any], cfg: Any, dataset: Any, seed: int, logger: Any) -> ElasticBatch:
        """Translate a checkpoint of another number of processes to this one, in place.

        Args:
            checkpoint: of the run, read.
            cfg: of the run.
            dataset: of the training.
            seed: of the order of samples.
            logger: is told what changes.

        Returns:
            The same with the cuts of the epoch that the run goes on in.

        Raises:
            ValueError: the run counts iterations and lets its batch change.
        """
        state = checkpoint["meta"].get(KEY)
        if state is None:
            return self
        factor = self.lr_factor / state.get("lr_factor", 1.0)
        if factor != 1.0:
            _scale_optimizer(checkpoint.get("optimizer"), factor)
        before = state.get("ranks", state["world_size"])
        cuts = tuple(Cut(*cut) for cut in state.get("cuts", ()))
        if state["world_size"] != self.world_size:
            logger.info(self._describe(state["world_size"], factor))
        if before == self.ranks:
            state["world_size"] = self.world_size
            return replace(self, cuts=cuts, cut_epoch=state["epoch"])
        if _plan(cfg, dataset, seed, self).order not in ORDERS:
            if self.batch is None:
                return self  # the runner finds about the same place
            raise ValueError(
                f"a run of {before} ranks that counts iterations, or does not shuffle, cannot go on with {self.ranks}: "
                "there is no epoch that could be divided anew. Use elastic = dict(batch='keep') from its start, or the "
                "same num_workers"
            )
        cuts = (*cuts, Cut(before, state["batch"])) if state["batch"] else ()
        taken = replace(self, cuts=cuts, cut_epoch=state["epoch"])
        plan = _plan(cfg, dataset, seed, taken)
        ended = state["stage"] == "after_train_epoch"
        state["batch"] = plan.num_batches() if ended else first_batch(plan) if cuts else 0
        state["iter"] = state["epoch"] * plan.num_batches() + state["batch"]
        state["world_size"] = self.world_size
        logger.info(f"the rest of epoch {state['epoch'] + 1} is divided anew among {self.ranks} ranks")
        return replace(taken, cuts=()) if ended else taken

    def _describe(self, before: int, factor: float) -> str:
        what = f"{before} -> {self.world_size} processes: "
        if self.batch == "keep":
            lanes = -(-self.ranks // self.world_size)
            return f"{what}the batch stays that of {self.ranks}, each process computes {lanes} parts of it"
        if self.batch == "scale_lr":
            return f"{what}the batch changes with them, and the learning rate by {factor:g}"
        return f"{what}the batch changes with them, the learning rate does not; see elastic.batch"


def _plan(cfg: Any, dataset: Any, seed: int, elastic: ElasticBatch) -> IndexPlan:
    endless = (cfg.get("runner") or {}).get("type") == "IterBasedRunner"
    data = {**cfg["data"], **elastic.loader_options(), "ranks": elastic.ranks, "endless": endless}
    plan = make_plan(dataset, loader_settings(data, "train"), "train", elastic.ranks, seed)
    assert isinstance(plan, IndexPlan)
    return plan


def _scale_optimizer(state: Any, factor: float) -> None:
    """Multiply the rates in the state of an optimiser, or of each in a dict of them."""
    for each in [state] if "param_groups" in (state or {}) else (state or {}).values():
        for group in each["param_groups"]:
            for name in ("lr", "initial_lr"):
                if name in group:
                    group[name] *= factor
