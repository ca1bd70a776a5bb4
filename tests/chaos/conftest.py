import os
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
BESIDE = str(HERE.parent / "distributed")
sys.path[:0] = [str(HERE), BESIDE]  # for the harness, and the tiny config of the other tests with Ray

ROWS = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--record", action="store_true", help="write docs/numbers/chaos.csv")


def pytest_configure(config):
    config.stash[ROWS] = []
    if config.getoption("--record", False):
        config.pluginmanager.register(Recorder(config.stash[ROWS]))


class Recorder:
    """Writes the table at the end, with a line for each test of another folder that shows a case.

    Args:
        rows: that the tests of this folder add.
    """

    def __init__(self, rows):
        self.rows = rows

    def pytest_runtest_logreport(self, report):
        from elsewhere import row_of

        row = row_of(report)
        if row is not None:
            self.rows.append(row)

    def pytest_sessionfinish(self):
        from harness import write_table

        write_table(self.rows)


@pytest.fixture(scope="session", autouse=True)
def environment():
    """Processes of every cluster find the faults, train with one thread, and ask nobody for a token."""
    path = os.pathsep.join([str(HERE), BESIDE, *filter(None, [os.environ.get("PYTHONPATH")])])
    fixed = {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
        "RAY_worker_niceness": "0",
    }
    before = {name: os.environ.get(name) for name in fixed}
    os.environ.update(fixed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def coco(tmp_path_factory):
    from tiny import tiny_coco

    return tiny_coco(tmp_path_factory.mktemp("coco"))


@pytest.fixture
def chaos(tmp_path, coco, request):
    from harness import Chaos

    rows = request.config.stash.setdefault(ROWS, [])
    chaos = Chaos(tmp_path, coco, rows, f"tests/chaos/{request.node.path.name}::{request.node.name}")
    yield chaos
    print("\n".join(chaos.lines))  # seen where a test failed


@pytest.fixture(scope="module")
def cluster(environment):
    """One machine of two CPUs for the cases of a module."""
    import ray

    ray.init(address="local", num_cpus=2, object_store_memory=200 * 1024**2, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def calm(tmp_path_factory, coco, environment):
    """The weights of the undisturbed run with one worker."""
    from harness import Chaos, weights

    one = Chaos(tmp_path_factory.mktemp("calm"), coco, [], "")
    return weights(one.train(one.config(), "one", carrier="torch", local=True))


@pytest.fixture
def nodes(environment):
    """Makes clusters of several nodes on this machine: a head without CPUs and nodes of one."""
    import ray
    from ray.cluster_utils import Cluster

    made = []

    def make(count):
        head = {"num_cpus": 0, "include_dashboard": True, "object_store_memory": 100 * 1024**2}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        made.append(cluster)
        added = [cluster.add_node(num_cpus=1, object_store_memory=80 * 1024**2) for _ in range(count)]
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        return cluster, added

    yield make
    ray.shutdown()
    for cluster in made:
        cluster.shutdown()
