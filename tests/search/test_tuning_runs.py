"""The sweeps that ship with raydet run: two short trials of each, in this process."""

import pytest

from raydet.config import Config, shipped_root
from raydet.search.file import load_sweep
from raydet.search.ledger import read_ledger
from raydet.search.run import run_sweep

NAMES = sorted(each.stem for each in shipped_root("tuning").glob("*.yaml"))
SHORT = {"num_trials": 2, "options.runner.max_epochs": 2, "options.data.train.times": 1, "pruning.scheduler": "none"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_sweep_runs(name, tmp_path):
    sweep = load_sweep(name, {**SHORT, "pruning.max_steps": 2})
    run_sweep(sweep, tmp_path / name, local=True, say=lambda line: None)
    records = [record for record in read_ledger(tmp_path / name) if record.state != "rejected"]
    assert [record.state for record in records] == ["complete"] * 2, [record.reason for record in records]
    assert all(len(record.values) == len(sweep.objectives) for record in records)
    if sweep.space.anchors is not None:
        assert all(0 < record.facts["anchor_recall"] <= 1 for record in records)
    again = load_sweep(tmp_path / name / "sweep.yaml")
    assert again.space.parameters().keys() == sweep.space.parameters().keys()
    assert isinstance(again.config, Config)
