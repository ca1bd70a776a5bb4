"""Keeping the checkpoints of the best trials only."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raydet.search.events import SweepWatcher
from raydet.search.records import TrialRecord
from raydet.search.report.ranking import front, ranked
from raydet.search.settings import Objective

_ENDED = ("complete", "pruned", "failed")


class KeepBest(SweepWatcher):
    """Removes the checkpoints of ended trials, but for those of the best ones; logs and metrics stay.

    Args:
        folder: of the sweep.
        objectives: what is improved; of several, those of the front stay as well.
        number: trials whose checkpoints stay, by the first objective.
    """

    def __init__(self, folder: Path, objectives: Sequence[Objective], number: int) -> None:
        self._folder = folder
        self._objectives = objectives
        self._number = number
        self._ended: dict[int, TrialRecord] = {}  # those that may have checkpoints

    def sweep_started(self, sweep: Any, folder: Path, records: Sequence[TrialRecord]) -> None:
        self._ended = {record.number: record for record in records if record.state in _ENDED}
        self._clean()

    def trial_ended(self, record: TrialRecord) -> None:
        self._ended[record.number] = record
        self._clean()

    def _clean(self) -> None:
        complete = [record for record in self._ended.values() if record.state == "complete"]
        kept = ranked(complete, self._objectives)[: self._number]
        if len(self._objectives) > 1:
            kept += front(complete, self._objectives)
        numbers = {record.number for record in kept}
        for record in [record for record in self._ended.values() if record.number not in numbers]:
            remove_checkpoints(self._folder / Path(*Path(record.folder).parts[:2]))
            del self._ended[record.number]


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints below a folder, and what Ray Train keeps to go on from them."""
    for pattern in ("checkpoint_*", "*.pth", "*.pth.*"):
        for path in folder.rglob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
