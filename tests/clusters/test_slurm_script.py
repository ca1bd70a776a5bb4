"""clusters/slurm.sh: its shell code, and what it does with stand-ins for Slurm's programs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raydet.config import shipped_root
from raydet.distributed.settings import CLUSTER_SETTINGS

HERE = Path(__file__).parent
SCRIPT = shipped_root("clusters") / "slurm.sh"


def test_shell_reads_the_script():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_shellcheck_finds_nothing():
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run([program, str(SCRIPT)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_script_without_a_command_says_how_it_is_used():
    asked = subprocess.run(["bash", str(SCRIPT)], capture_output=True, text=True)
    assert asked.returncode == 2
    assert "usage" in asked.stderr


def test_script_sets_what_raydet_sets_of_ray():
    text = SCRIPT.read_text()
    assert [name for name, value in CLUSTER_SETTINGS.items() if f"{name}={value}" not in text] == []


@pytest.fixture
def slurm(tmp_path):
    """The environment of an allocation of two nodes, both of which are this machine."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("srun", "scontrol"):
        program = programs / name
        program.write_text(f"#!{sys.executable}\n{(HERE / 'slurm_tools.py').read_text()}")
        program.chmod(0o755)
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLURM_NOTES": str(tmp_path / "notes"),
        "SLURM_JOB_ID": "7001",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_CPUS_PER_TASK": "1",
        "RAYDET_START": "150",
        "OMP_NUM_THREADS": "1",
    }


def command(folder, *options):
    return ["bash", str(SCRIPT), sys.executable, str(HERE / "slurm_run.py"), str(folder), *options]


@pytest.mark.ray
@pytest.mark.slow
def test_script_starts_ray_on_all_nodes_and_hands_on_the_exit_code(slurm, tmp_path):
    done = subprocess.run(
        command(tmp_path), env={**slurm, "SLURM_RESTART_COUNT": "1"}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nodes 2 cpus 2 options --resume" in done.stdout
    notes = (tmp_path / "notes").read_text().splitlines()
    assert notes.count("srun 127.0.0.1 ray start") == 2
    assert "scontrol requeue 7001" not in notes
    assert not Path("/tmp/raydet-7001").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_script_lets_the_run_save_and_queues_again_when_slurm_takes_the_nodes(slurm, tmp_path):
    job = subprocess.Popen(command(tmp_path, "--wait"), env=slurm)
    try:
        end = time.monotonic() + 240
        while not (tmp_path / "ready").exists():
            assert job.poll() is None
            assert time.monotonic() < end
            time.sleep(0.3)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(120) == 0
    finally:
        job.kill()
    assert (tmp_path / "checkpoint").exists()
    assert (tmp_path / "notes").read_text().splitlines()[-1] == "scontrol requeue 7001"
