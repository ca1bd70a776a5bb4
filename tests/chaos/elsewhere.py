"""Cases that tests of other folders show: their lines of the table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import Row

SHOWN = {
    "tests/engine/test_resume_models.py::test_resume_in_the_middle_ends_bit_identical": (
        "2 killed at any step",
        "an exception at a random iteration of RetinaNet, Mask R-CNN, mixed images with EMA, YOLOX",
        "weights, averages, optimiser, random states and logs",
        "equal",
    ),
    "tests/engine/test_killed_writers.py::test_killed_twenty_times_at_random_moments_of_writing": (
        "12 crash while saving",
        "SIGKILL at 20 random moments of writing checkpoints",
        "the newest complete checkpoint, each time",
        "equal",
    ),
    "tests/distributed/test_object_storage.py::test_run_lives_in_bucket_and_resumes_past_a_damaged_checkpoint": (
        "13 torn write",
        "the newest checkpoint in an S3 bucket is damaged",
        "the one before it",
        "not compared",
    ),
    "tests/distributed/test_object_storage.py::test_run_goes_on_while_the_storage_is_away_in_the_middle_of_an_upload": (
        "18 storage away",
        "an S3 server is away in the middle of an upload",
        "the run; the upload when it is back",
        "not compared: nothing starts again",
    ),
    "tests/engine/test_bad_samples_of_all_ranks.py": (
        "20 bad samples",
        "images that cannot be read on one of two ranks",
        "the same verdict on all ranks, one list",
        "not compared: other samples take their place",
    ),
    "tests/engine/test_nan_guard_two_processes.py": (
        "22 NaN in a batch",
        "a loss that is not finite on one of two ranks",
        "both ranks leave the step out",
        "not compared: a step is missing",
    ),
    "tests/engine/test_elastic.py::test_scale_lr_shrinks_in_mid_epoch_without_showing_a_sample_twice": (
        "3 half of the workers gone",
        "one of two processes gone in mid-epoch, learning rate scaled",
        "every sample of the epoch shown once",
        "not compared: the batch is another one",
    ),
}
"""By the beginning of a test's id: case, fault, what survived, parameters."""


def row_of(report: Any) -> Row | None:
    """The line of a test that passed, if it has one here; the first of several parametrised ones speaks for all."""
    from harness import Row

    if report.when != "call" or not report.passed:
        return None
    for start, (case, fault, survived, parameters) in SHOWN.items():
        if report.nodeid.startswith(start) and start not in _told:
            _told.add(start)
            return Row(case, fault, survived, parameters=parameters, load=round(os.getloadavg()[0], 1), test=start)
    return None


_told: set[str] = set()

if __name__ == "__main__":  # for `make test-chaos`
    print(" ".join(start if start.endswith(".py") else start.partition("[")[0] for start in SHOWN))
