"""Data actors on a cluster of labelled nodes, in a program of its own since it needs two nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]
HERE = Path(__file__).parent


def test_data_actors_keep_to_nodes_with_their_label():
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, str(HERE / "labelled_nodes.py")],
        env={**os.environ, **quiet, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert finished.stdout.splitlines()[-1:] == ["kept"], finished.stdout + finished.stderr[-2000:]
