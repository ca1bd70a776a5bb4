import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)  # for the plug-ins and helpers beside the tests


@pytest.fixture(scope="session")
def ray_cluster():
    """One local Ray cluster of two CPUs for all tests that need one."""
    import ray

    from raydet.distributed.settings import CLUSTER_SETTINGS, environment_defaults

    path = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ["PYTHONPATH"] = path  # workers find the plug-ins of these tests
    with environment_defaults({**CLUSTER_SETTINGS, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}):
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=200 * 1024**2,
            include_dashboard=True,  # Ray Train frees the resources of killed runs through it
            log_to_driver=bool(os.environ.get("RAYDET_TEST_RAY_LOGS")),
            logging_level="WARNING",
        )
        yield
        ray.shutdown()


@pytest.fixture(autouse=True)
def cpus_come_back(request):
    """A test that keeps some fails itself, instead of a later one that waits for them."""
    yield
    if "ray_cluster" in request.fixturenames:
        import ray
        from processes import free_cpus

        cpus = ray.cluster_resources()["CPU"]
        assert free_cpus(cpus, patience=60) >= cpus


@pytest.fixture(scope="session")
def coco(tmp_path_factory):
    """A tiny COCO set of 24 generated images: the paths of its annotation file and of its image folder."""
    from tiny import tiny_coco

    return tiny_coco(tmp_path_factory.mktemp("coco"))
