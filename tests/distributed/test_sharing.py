import dataclasses
import json
import pickle

import numpy as np
import pytest
import ray

from raydet.datasets import CocoDataset, ConcatDataset
from raydet.distributed.sharing import LARGE, ArrayStore, unpack

pytestmark = pytest.mark.ray


@dataclasses.dataclass(frozen=True)
class Table:
    numbers: np.ndarray


class Holder:
    def __init__(self, table):
        self.table = table
        self.parts = [table]
        self.small = np.arange(3)
        self.same = table.numbers


def test_large_arrays_travel_by_reference_and_once(ray_cluster):
    value = Holder(Table(np.arange(LARGE)))
    shared = ArrayStore().pack([value, value])
    assert len(shared.arrays) == 1
    assert len(shared.rest) < LARGE
    back = unpack(shared)
    assert back[0] is back[1]
    np.testing.assert_array_equal(back[0].table.numbers, value.table.numbers)
    assert back[0].small.tolist() == [0, 1, 2]


def test_adopted_value_reads_what_the_others_read(ray_cluster):
    store, value = ArrayStore(), Holder(Table(np.arange(LARGE)))
    parts = value.parts
    first = store.pack(value)
    store.adopt(value)
    assert value.parts is parts
    assert value.table.numbers is value.same
    assert not value.table.numbers.flags.writeable
    np.testing.assert_array_equal(value.table.numbers, np.arange(LARGE))
    assert store.pack(value).arrays == first.arrays
    assert pickle.loads(pickle.dumps(value.table)).numbers[5] == 5


def test_actor_sees_the_annotations_of_nested_data_sets(ray_cluster, tmp_path):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(2000)]
    boxes = [
        {
            "id": i,
            "image_id": i % 2000,
            "category_id": 1,
            "bbox": [i % 600, 1, 10, 20],
            "segmentation": [[1, 2, 3, 4, 5, i]],
        }
        for i in range(10_000)
    ]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    leaf = CocoDataset(str(tmp_path / "a.json"), [], classes=["x"])
    dataset = ConcatDataset([leaf, leaf])

    @ray.remote(num_cpus=0)
    def look(parts):
        seen = unpack(ray.get(parts[0]))
        return seen.get_ann_info(2007), seen.datasets[1].data_infos[3]

    store = ArrayStore()
    shared = store.pack(dataset)
    expected = dataset.get_ann_info(2007), leaf.data_infos[3]
    store.adopt(dataset)
    for found in (ray.get(look.remote([ray.put(shared)])), (dataset.get_ann_info(2007), leaf.data_infos[3])):
        np.testing.assert_array_equal(found[0]["bboxes"], expected[0]["bboxes"])
        assert found[0]["masks"] == expected[0]["masks"]
        assert found[1] == expected[1]
    assert len(shared.arrays) == 4  # boxes, areas, masks and records of images
