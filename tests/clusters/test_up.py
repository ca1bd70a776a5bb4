"""`raydet up` and `raydet down` with Ray's own launcher, on one machine behind stand-ins for ssh and rsync.

`ray stop`, which Ray's launcher runs on every machine, ends all of Ray on this one, so that the test runs where it can
see no other: in namespaces of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]
HERE = Path(__file__).parent
ASK = (
    "import ray; ray.init(log_to_driver=False); "
    "print('CPUs', ray.cluster_resources()['CPU'], ray.nodes()[0]['Labels']['pool'])"
)
CONFINED = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-ec"]


@pytest.fixture
def machine(tmp_path):
    """The environment of a user whose ssh leads to this machine."""
    if subprocess.run([*CONFINED, "true"], capture_output=True).returncode != 0:
        pytest.skip("namespaces are not allowed here")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("ssh", "rsync"):
        (programs / name).write_text(f"#!{sys.executable}\n{(HERE / 'ssh_tools.py').read_text()}")
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    (tmp_path / ".bashrc").write_text(f"export PATH={path}\n")
    (tmp_path / "hosts.txt").write_text("127.0.0.1 cpus=2\n")
    temporary = Path("/tmp/raydet-up")  # sockets want short paths
    yield {
        **os.environ,
        "PATH": path,
        "HOME": str(tmp_path),
        "SSH_NOTES": str(tmp_path / "notes"),
        "RAY_TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
    }
    shutil.rmtree(temporary, ignore_errors=True)


def test_up_starts_a_cluster_with_a_token_and_down_ends_it(machine, tmp_path):
    raydet, ask = f"{sys.executable} -m raydet.cli", f'{sys.executable} -c "{ASK}"'
    script = f"""
        ip link set lo up 2>/dev/null || {sys.executable} {HERE / "loopback.py"}
        {raydet} up hosts.txt --user me
        export RAY_ADDRESS=127.0.0.1:6379
        RAY_AUTH_MODE=token {ask}
        if RAY_AUTH_MODE=disabled {ask} 2>/dev/null; then echo "nobody asked for a token"; fi
        {raydet} down hosts.txt
    """
    done = subprocess.run([*CONFINED, script], env=machine, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("CPUs 2.0 train") == 1
    assert "nobody asked for a token" not in done.stdout
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o77 == 0
    notes = (tmp_path / "notes").read_text()
    assert "ray start --head" in notes
    assert "ray stop" in notes.partition("ray start --head")[2]
