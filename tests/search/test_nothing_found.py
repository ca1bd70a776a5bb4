"""An evaluation that finds nothing is a bad one, not a broken one."""

from fake_trials import fake_sweep

from raydet.search.run import run_sweep


def late(task, report):
    """Finds nothing at all in its first two epochs."""
    for step in range(1, 10):
        if not report(step, {} if step < 3 else {"score": 0.5}):
            return


def test_trials_that_find_nothing_yet_count_as_zero(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=2, pruning={"scheduler": "none"})
    records = run_sweep(sweep, tmp_path / "sweep", local=True, function=late).records
    assert [record.values for record in records] == [(0.5,), (0.5,)]
    assert [report.metrics["score"] for report in records[0].reports][:3] == [0.0, 0.0, 0.5]


def test_nothing_found_says_nothing_of_what_is_to_be_small(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=1, objective={"metric": "score", "mode": "min"})
    [record] = run_sweep(sweep, tmp_path / "sweep", local=True, function=late).records
    assert record.state == "failed"
    assert "score" in record.reason
