"""Samples that cannot be used: fail, skip or fill in, with a quota and a list."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raydet.datasets.log import LOGGER
from raydet.transforms.files import BadSampleError

BAD_SAMPLES = "bad_samples"
"""The batch's key for the records of its replaced samples."""

POLICIES = ("fail", "skip", "placeholder")


@dataclass(frozen=True)
class BadSamplePolicy:
    """What `data.bad_samples` says.

    Attributes:
        kind: "fail" stops with the name of the file, "skip" takes another sample instead, "placeholder" a black image
            without objects.
        quota: the fraction of the samples that all ranks have seen that may be bad; one is always allowed.
    """

    kind: str = "fail"
    quota: float = 0.001

    def __post_init__(self) -> None:
        if self.kind not in POLICIES:
            raise ValueError(f"data.bad_samples.policy must be one of {POLICIES}, got {self.kind!r}")
        if not 0 <= self.quota <= 1:
            raise ValueError(f"data.bad_samples.quota must lie in [0, 1], got {self.quota}")

    @classmethod
    def from_config(cls, cfg: Mapping[str, Any] | None) -> BadSamplePolicy:
        """From `dict(policy=..., quota=...)`."""
        settings = dict(cfg or {})
        unknown = set(settings) - {"policy", "quota"}
        if unknown:
            raise ValueError(f"data.bad_samples has the keys policy and quota, got {sorted(unknown)}")
        return cls(settings.get("policy", "fail"), settings.get("quota", 0.001))

    def complaint(self, seen: int, bad: int, last: str) -> str | None:
        """What to end a run with, None while there are not too many bad samples.

        Args:
            seen: samples so far.
            bad: those of them that were bad.
            last: what was wrong with the last one.
        """
        if bad <= max(1.0, self.quota * seen):
            return None
        return f"{bad} of {seen} samples are bad, data.bad_samples.quota allows {self.quota:.2%}; the last one: {last}"


def describe(dataset: Any, index: int, error: Exception) -> dict[str, Any]:
    """A record of a bad sample: its index, file and what is wrong."""
    innermost, position = dataset, index
    while hasattr(innermost, "locate"):
        innermost, position = innermost.locate(position)
    named = hasattr(innermost, "filename") and position < len(innermost)
    name = innermost.filename(position) if named else None
    return {"index": index, "file": name, "error": f"{type(error).__name__}: {error}"}


def placeholder_of(dataset: Any, index: int) -> Mapping[str, Any]:
    """A sample of a data set, or of one inside, with a black image and without objects.

    Raises:
        BadSampleError: the data set cannot make one.
    """
    while hasattr(dataset, "locate") and not hasattr(dataset, "placeholder"):
        dataset, index = dataset.locate(index)
    sample = dataset.placeholder(index) if hasattr(dataset, "placeholder") else None
    if sample is None:
        raise BadSampleError(
            f"{type(dataset).__name__} cannot make a placeholder for sample {index}; use data.bad_samples.policy='skip'"
        )
    return sample  # type: ignore[no-any-return]


class BadSampleCounter:
    """Counts the bad samples of a run on one rank, lists them, and stops the run when there are too many.

    Args:
        policy: its quota counts.
        on_bad_samples: called with the records of each batch that has some; see `list_in`.
        alone: there are no other ranks. With others, whoever can ask them all judges, so that all end together.

    Attributes:
        seen: samples so far.
        bad: those of them that were bad.
        last: what was wrong with the last one.
    """

    def __init__(
        self,
        policy: BadSamplePolicy,
        on_bad_samples: Callable[[Sequence[Mapping[str, Any]]], None] | None = None,
        alone: bool = True,
    ) -> None:
        self.policy = policy
        self.on_bad_samples = on_bad_samples
        self.alone = alone
        self.seen = 0
        self.bad = 0
        self.last = ""

    def check(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take the records out of a batch.

        Raises:
            BadSampleError: more are bad than the quota allows, and there are no other ranks to ask.
        """
        records = batch.pop(BAD_SAMPLES, [])
        self.seen += _num_samples(batch)
        if not records:
            return batch
        self.bad += len(records)
        for record in records:
            LOGGER.log(logging.WARNING, "bad sample %s (%s): %s", record["index"], record["file"], record["error"])
        if self.on_bad_samples is not None:
            self.on_bad_samples(records)
        self.last = str(records[-1]["error"])
        complaint = self.policy.complaint(self.seen, self.bad, self.last)
        if self.alone and complaint is not None:
            raise BadSampleError(complaint)
        return batch


def _num_samples(batch: Mapping[str, Any]) -> int:
    """Samples in a batch; of a test batch each entry is a list with one entry per augmentation."""
    field = next(iter(batch.values()))
    return len(field[0] if isinstance(field, list) and field and isinstance(field[0], list) else field)


def list_file(folder: str | Path, rank: int = 0) -> Path:
    """`bad_samples.jsonl` in a run folder; ranks other than 0 have files of their own until the lists are merged."""
    return Path(folder) / ("bad_samples.jsonl" if rank == 0 else f"bad_samples.rank{rank}.jsonl")


def list_in(folder: str | Path, rank: int = 0) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A callback that appends the records of one rank to its list in a run folder."""
    path = list_file(folder, rank)

    def append(records: Sequence[Mapping[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(json.dumps({**record, "rank": rank}) + "\n" for record in records)

    return append
