"""A sweep that is killed, wherever that is, goes on as if nothing had happened."""

from unittest import mock

import pytest
from fake_trials import climber, course, fake_sweep, hill

from raydet.search import ledger
from raydet.search.ledger import LEDGER, Ledger
from raydet.search.run import run_sweep

CASES = {
    "tpe and asha": (hill, {"search": {"sampler": "tpe", "startup": 3}}),
    "tpe and hyperband": (hill, {"search": {"startup": 3}, "pruning": {"scheduler": "hyperband"}}),
    "random and median": (hill, {"search": {"sampler": "random"}, "pruning": {"scheduler": "median"}}),
    "nsga2, two objectives": (
        hill,
        {
            "objective": [{"metric": "score"}, {"metric": "cost", "mode": "min"}],
            "search": {"sampler": "nsga2", "options": {"population_size": 3}},
            "pruning": {"scheduler": "none"},
        },
    ),
    "nsga3": (
        hill,
        {
            "objective": [{"metric": "score"}, {"metric": "cost", "mode": "min"}],
            "search": {"sampler": "nsga3", "options": {"population_size": 3}},
            "pruning": {"scheduler": "none"},
        },
    ),
    "cmaes": (hill, {"search": {"sampler": "cmaes", "startup": 2, "options": {"popsize": 4}}, "pruning": {}}),
    "gp": (hill, {"search": {"sampler": "gp", "startup": 3}, "pruning": {}}),
    "a population": (climber, {"search": {"sampler": "random"}, "pruning": {"scheduler": "pbt", "interval": 3}}),
}


class Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


@pytest.fixture(autouse=True)
def no_disk(monkeypatch):
    """Waiting for the disk after every line is most of the time of such sweeps."""
    monkeypatch.setattr(ledger.os, "fsync", lambda _: None)


@pytest.fixture
def deadly():
    """Dies when the ledger is to get its `at`-th line, which is left torn."""
    write = Ledger._write

    def arm(at):
        written = []

        def write_or_die(self, line):
            written.append(line)
            if len(written) == at:
                self._file.write(line[: len(line) // 2])
                self._file.flush()
                raise Killed
            write(self, line)

        return mock.patch.object(Ledger, "_write", write_or_die)

    return arm


@pytest.mark.parametrize("case", [pytest.param(case, marks=[pytest.mark.slow] * (case == "gp")) for case in CASES])
def test_sweep_killed_at_any_line_of_its_ledger_ends_as_if_it_had_not_been(tmp_path, deadly, case):
    if case == "cmaes":
        pytest.importorskip("cmaes")
    function, changes = CASES[case]
    changes = {**changes, "search": {"storage": "memory", **changes["search"]}}
    sweep = fake_sweep(tmp_path / "file", num_trials=8, **changes)
    whole = run_sweep(sweep, tmp_path / "whole", local=True, function=function).records
    lines = len((tmp_path / "whole" / LEDGER).read_bytes().splitlines())
    assert len({each.state for each in whole}) > 1 or changes["pruning"].get("scheduler") in (None, "none", "pbt")
    for at in range(1, lines + 1, 1 + lines // 8):
        folder = tmp_path / f"killed_{at}"
        with deadly(at), pytest.raises(Killed):
            run_sweep(sweep, folder, local=True, function=function)
        resumed = run_sweep(sweep, folder, resume=True, local=True, function=function).records
        assert course(resumed) == course(whole), f"killed at line {at} of {lines}"


def test_population_hands_weights_of_good_members_to_bad_ones(tmp_path):
    function, changes = CASES["a population"]
    records = run_sweep(
        fake_sweep(tmp_path, num_trials=8, **changes), tmp_path / "run", local=True, function=function
    ).records
    moved = [each for each in records if each.source]
    assert len(moved) >= 2
    for member in moved:
        donor = next(each for each in records if each.number == int(member.source.split("/")[1]))
        scores = {report.step: report.metrics["score"] for report in member.reports}
        start = {report.step: report.metrics["score"] for report in donor.reports}[member.source_step]
        gain = member.options["x"]
        assert scores[member.source_step + 1] == pytest.approx(start + gain)
    assert all(each.state == "complete" and len(each.reports) == 9 for each in records)


def test_other_sweep_in_a_used_folder_is_refused(tmp_path):
    run_sweep(fake_sweep(tmp_path, num_trials=2), tmp_path / "run", local=True, function=hill)
    with pytest.raises(ValueError, match="already holds a sweep"):
        run_sweep(fake_sweep(tmp_path, num_trials=2), tmp_path / "run", local=True, function=hill)
    with pytest.raises(ValueError, match="of a sweep with seed 3, and now seed is 4"):
        run_sweep(fake_sweep(tmp_path, seed=4), tmp_path / "run", resume=True, local=True, function=hill)


def test_finished_sweep_goes_on_with_more_trials(tmp_path):
    run_sweep(fake_sweep(tmp_path, num_trials=3), tmp_path / "run", local=True, function=hill)
    more = run_sweep(fake_sweep(tmp_path, num_trials=6), tmp_path / "run", resume=True, local=True, function=hill)
    whole = run_sweep(fake_sweep(tmp_path, num_trials=6), tmp_path / "whole", local=True, function=hill)
    assert course(more.records) == course(whole.records)
