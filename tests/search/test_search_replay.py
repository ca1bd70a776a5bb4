"""A pruned search reaches what random search finds in fewer epochs, on trainings of our own that were recorded."""

import math
import statistics
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from raydet.search import ledger  # noqa: E402
from tools.record_trials import EPOCHS, SPACE, TABLE, read_table  # noqa: E402
from tools.replay_search import RANDOM_TRIALS, compare, epochs_until, replay  # noqa: E402


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Waiting for the disk after every line is most of the time of such sweeps."""
    monkeypatch.setattr(ledger.os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def table():
    return read_table(ROOT / TABLE)


def test_the_table_holds_every_point_of_its_grid(table):
    assert len(table) == math.prod(map(len, SPACE.values())) >= 100
    assert all(len(values) == EPOCHS for values in table.values())


def test_random_search_trains_every_trial_to_the_end(table):
    records = replay(table, "random", seed=0)
    assert len(records) == RANDOM_TRIALS
    assert {len(record.reports) for record in records} == {EPOCHS}


def test_a_pruned_search_needs_at_most_six_tenths_of_the_epochs(table):
    shares = [compare(table, seed)["share"] for seed in range(7)]
    assert statistics.median(shares) <= 0.6


def test_most_trials_of_a_pruned_search_end_early(table):
    records = replay(table, "tpe_asha", seed=0)
    assert sum(record.state == "pruned" for record in records) > len(records) / 2
    assert epochs_until(records, target=2.0) == (sum(len(record.reports) for record in records), False)
