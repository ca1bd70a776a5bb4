import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
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


@pytest.fixture(scope="session")
def coco(tmp_path_factory):
    """A tiny COCO set of 24 generated images: the paths of its annotation file and of its image folder."""
    folder = tmp_path_factory.mktemp("coco")
    random = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(24):
        height, width = (64, 96) if index % 3 else (96, 64)
        canvas = random.integers(0, 60, (height, width, 3)).astype(np.uint8)
        images.append({"id": index, "file_name": f"{index}.png", "height": height, "width": width})
        for label in (0, 1)[: 1 + index % 2]:
            x, y, size = (int(value) for value in (*random.integers(2, 30, 2), random.integers(20, 30)))
            canvas[y : y + size, x : x + size, label] = 255
            box = {"id": len(annotations), "image_id": index, "category_id": label + 1, "bbox": [x, y, size, size]}
            annotations.append({**box, "area": size * size, "iscrowd": 0})
        cv2.imwrite(str(folder / f"{index}.png"), canvas)
    categories = [{"id": 1, "name": "blue"}, {"id": 2, "name": "green"}]
    path = folder / "train.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path), str(folder)
