"""A study in a real PostgreSQL server, also one that goes away in the middle of a sweep."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from fake_trials import course, fake_sweep, hill
from test_sweep_storage import assert_same

from raydet.search.events import SweepWatcher
from raydet.search.run import run_sweep
from raydet.search.storage import open_storage

pytestmark = pytest.mark.slow


class Server:
    """A server of its own on a free port, as a user that is not root, which PostgreSQL refuses."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.user = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-D", str(folder / "data"), "-U", "raydet", "-A", "trust", "--no-sync")
        self.start()

    @property
    def url(self):
        return f"postgresql://raydet:secret@127.0.0.1:{self.port}/postgres"

    def start(self):
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder}"
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self):
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def _run(self, *command):
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, timeout=120, **self.user)


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg2")
    if any(shutil.which(program) is None for program in ("initdb", "pg_ctl", "postgres")):
        pytest.skip("there is no PostgreSQL server on this machine")
    folder = Path(tempfile.mkdtemp(prefix="raydet_postgres_"))
    server = Server(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


def study_of(server, name):
    return optuna.load_study(study_name=name, storage=open_storage(server.url, Path()))


class Away(SweepWatcher):
    """Stops the server before trial 2 and starts it again after trial 3."""

    def __init__(self, server):
        self.server = server

    def trial_started(self, record):
        if record.number == 2:
            self.server.stop()
        if record.number == 4:
            self.server.start()


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_study_in_postgresql_is_what_the_ledger_says(server, tmp_path, sampler):
    pytest.importorskip("cmaes")
    sweep = fake_sweep(tmp_path, num_trials=8, search={"storage": server.url, "study": sampler, "sampler": sampler})
    records = run_sweep(sweep, tmp_path / "run", local=True, function=hill).records
    assert_same(study_of(server, sampler), records)
    here = fake_sweep(tmp_path / "here", num_trials=8, search={"storage": "memory", "sampler": sampler})
    assert course(run_sweep(here, tmp_path / "here" / "run", local=True, function=hill).records) == course(records)


def test_server_that_is_away_for_a_while_costs_no_trial(server, tmp_path):
    sweep = fake_sweep(tmp_path, num_trials=6, search={"storage": server.url, "study": "away"})
    records = run_sweep(sweep, tmp_path / "run", local=True, function=hill, callbacks=[Away(server)]).records
    assert [each.number for each in records if each.state in ("complete", "pruned")] == list(range(6))
    assert_same(study_of(server, "away"), records)


def test_sweep_goes_on_with_a_study_in_postgresql(server, tmp_path):
    first = fake_sweep(tmp_path, num_trials=3, search={"storage": server.url, "study": "resumed"})
    run_sweep(first, tmp_path / "run", local=True, function=hill)
    more = fake_sweep(tmp_path, num_trials=6, search={"storage": server.url, "study": "resumed"})
    began = time.time()
    records = run_sweep(more, tmp_path / "run", resume=True, local=True, function=hill).records
    assert_same(study_of(server, "resumed"), records)
    assert all(each.started > began for each in records[3:])
