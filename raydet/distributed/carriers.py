"""How a worker makes its carriers: what the engine calls with a data set and the config's `data`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raydet.datasets import Carrier, Plan, bad_sample_policy, build_carrier, list_in, loader_settings, make_plan
from raydet.distributed.monitor import FIRST_STEP, Reporter
from raydet.distributed.rows import ActorPool

if TYPE_CHECKING:
    from raydet.distributed.stream import StreamCarrier


def _nothing() -> None:
    """Nobody listens."""


@dataclass
class CarrierFactory:
    """Makes the carriers of one worker; instances are the engine's `MakeCarrier`.

    Args:
        pool: actors that read; None reads with a torch `DataLoader` in the worker's own processes.
        reporter: for bad samples and phases of the start.
        epochs: of the run, None when it counts iterations.
        fresh: the run starts at its beginning, so that reading can start while the model is built.
        beat: called with every batch, as a sign of progress.
    """

    pool: ActorPool | None
    reporter: Reporter
    epochs: int | None = None
    fresh: bool = False
    beat: Callable[[], None] = _nothing
    _training: StreamCarrier | None = field(default=None, init=False, repr=False)

    def __call__(
        self,
        dataset: Any,
        data: Mapping[str, Any],
        split: str,
        *,
        rank: int,
        world_size: int,
        seed: int | None,
        work_dir: str | None,
    ) -> Carrier:
        """The carrier of one split, as `raydet.datasets.build_carrier` makes it, but for who reads."""
        self.reporter.phase("data")
        if self.pool is None:
            carrier: Carrier = build_carrier(
                dataset, data, split, rank=rank, world_size=world_size, seed=seed, work_dir=work_dir
            )
        else:
            plan = make_plan(dataset, loader_settings(data, split), split, world_size, seed)
            carrier = self._stream(dataset, data, split, plan, rank, work_dir)
        return _Timed(carrier, self.reporter if split == "train" else None, self.beat)

    def _stream(
        self, dataset: Any, data: Mapping[str, Any], split: str, plan: Plan, rank: int, work_dir: str | None
    ) -> Carrier:
        from raydet.distributed.stream import StreamCarrier

        assert self.pool is not None
        training = split == "train"
        carrier = StreamCarrier(
            dataset,
            plan,
            rank,
            # Evaluations read while the actors of training wait, on the same CPUs.
            pool=self.pool if training else self.pool.sharing_cpus(),
            bad_samples=bad_sample_policy(data, split),
            on_bad_samples=self._listing(work_dir, rank),
            defer_normalization=data.get("device_normalize", True),
            epochs=self.epochs,
            read_meanwhile=self.pool.label_selector is None,  # else reading is not for the nodes of workers
        )
        if training and self.fresh:
            carrier.open(0)
        if training:
            self._training = carrier
        return carrier

    def bytes_in_flight(self) -> int | None:
        """Bytes of training batches on their way from the data actors; None without such actors."""
        return None if self._training is None else self._training.bytes_in_flight()

    def _listing(self, work_dir: str | None, rank: int) -> Any:
        append = list_in(work_dir, rank) if work_dir is not None else None

        def listing(records: Any) -> None:
            if append is not None:
                append(records)
            for record in records:
                self.reporter.send("bad_sample", {**record, "rank": rank})

        return listing


class _Timed:
    """A carrier that says with every batch that it is alive.

    Args:
        carrier: brings the batches.
        reporter: told when the first batch is there and when the step on it is done; None for other data than training.
        beat: called with every batch.
    """

    def __init__(self, carrier: Carrier, reporter: Reporter | None, beat: Callable[[], None]) -> None:
        self.dataset = carrier.dataset
        self.counter = getattr(carrier, "counter", None)
        self._carrier = carrier
        self._reporter = reporter
        self._beat = beat

    def __len__(self) -> int:
        return len(self._carrier)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[dict[str, Any]]:
        batches = self._carrier.iterate(epoch, start)
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            first = next(batches, None)
            reporter.phase("first batch")
            if first is None:
                return
            yield first
            reporter.phase(FIRST_STEP)
        for batch in batches:
            self._beat()
            yield batch

    def close(self) -> None:
        self._carrier.close()
