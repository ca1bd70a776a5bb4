"""The study that dashboards read: complete, in step with the ledger, in every kind of storage."""

import optuna
import pytest
from fake_trials import fake_sweep, hill, moody

from raydet.search.ledger import LEDGER
from raydet.search.run import run_sweep
from raydet.search.storage import check_local, open_storage, shown

STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "rejected": "FAIL"}


def study_of(storage, folder, name="fake"):
    return optuna.load_study(study_name=name, storage=open_storage(storage, folder))


def assert_same(study, records):
    assert [trial.state.name for trial in study.trials] == [STATES[record.state] for record in records]
    for trial, record in zip(study.trials, records, strict=True):
        assert trial.params == record.params
        assert trial.intermediate_values == {each.step: each.value for each in record.decisions}
        assert trial.user_attrs["folder"] == record.folder
        assert trial.user_attrs.get("reason", "") == record.reason
        assert trial.values == (None if record.values is None else list(record.values))


@pytest.mark.parametrize("storage", ["journal", "sqlite:///{}/study.db"])
def test_study_in_a_storage_is_what_the_ledger_says(tmp_path, storage):
    storage = storage.format(tmp_path)
    sweep = fake_sweep(tmp_path, num_trials=6, search={"storage": storage})
    records = run_sweep(sweep, tmp_path / "run", local=True, function=hill).records
    study = study_of(storage, tmp_path / "run")
    assert_same(study, records)
    assert study.metric_names == ["score"]
    (tmp_path / "run" / LEDGER).unlink()
    with pytest.raises(ValueError, match="holds a study 'fake' with 6 trials"):
        run_sweep(sweep, tmp_path / "run", local=True, function=hill)


def test_study_of_trials_that_failed_says_why(tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=4)
    records = run_sweep(sweep, tmp_path / "run", local=True, function=moody).records
    assert_same(study_of("journal", tmp_path / "run"), records)


def test_storage_that_lags_behind_catches_up(tmp_path, monkeypatch):
    from optuna.storages import JournalStorage

    def broken(*_, **__):
        raise OSError("the disk is full")

    sweep = fake_sweep(tmp_path, num_trials=6)
    with monkeypatch.context() as patch:
        patch.setattr(JournalStorage, "set_trial_intermediate_value", broken)
        records = run_sweep(sweep, tmp_path / "run", local=True, function=hill).records
    assert len(study_of("journal", tmp_path / "run").trials) == 1
    with (tmp_path / "run" / "study.journal").open("a") as journal:
        journal.write('{"op_code": 5, "torn')
    (tmp_path / "run" / "study.journal.lock").symlink_to("study.journal")
    run_sweep(sweep, tmp_path / "run", resume=True, local=True, function=hill)
    assert_same(study_of("journal", tmp_path / "run"), records)


def test_earlier_sweeps_are_known_from_the_start(tmp_path):
    first = fake_sweep(tmp_path / "first", num_trials=8, pruning={}, search={"sampler": "random"})
    run_sweep(first, tmp_path / "first" / "run", local=True, function=hill)
    search = {"sampler": "tpe", "startup": 5, "imports": [str(tmp_path / "first" / "run")]}
    informed = fake_sweep(tmp_path / "second", num_trials=3, seed=3, search=search)
    records = run_sweep(informed, tmp_path / "second" / "run", local=True, function=hill).records
    uninformed = fake_sweep(tmp_path / "third", num_trials=3, search={"sampler": "tpe", "startup": 5})
    others = run_sweep(uninformed, tmp_path / "third" / "run", local=True, function=hill).records
    assert [each.number for each in records] == [0, 1, 2]
    assert [each.params for each in records] != [each.params for each in others]


def test_sqlite_on_a_network_file_system_is_refused(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {tmp_path / 'far'} nfs4 rw 0 0\n")
    (tmp_path / "far" / "deep").mkdir(parents=True)
    check_local(tmp_path / "study.db", mounts)
    with pytest.raises(ValueError, match=r"network file system \(nfs4\).*use 'journal'"):
        check_local(tmp_path / "far" / "deep" / "study.db", mounts)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("redis://here/0", "expected 'journal', 'memory' or a URL"),
        ("postgresql://me:secret@127.0.0.1:1/none", r"postgresql://me:\*\*\*@127.0.0.1:1/none.*does not answer"),
    ],
)
def test_impossible_storages_are_refused_without_their_password(tmp_path, storage, message):
    if storage.startswith("postgresql"):
        pytest.importorskip("psycopg2")
    with pytest.raises((ValueError, ConnectionError), match=message):
        open_storage(storage, tmp_path)
    assert "secret" not in shown(storage)
