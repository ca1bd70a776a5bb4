"""Batches through Ray Data: order, equality with the other carrier, bounds, errors."""

import gc
import itertools
import shutil
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from processes import free_cpus
from ray_workers import Counting

from raydet.datasets import BadSamplePolicy, IndexPlan, LoaderCarrier, build_dataset
from raydet.distributed import rows as rows_module
from raydet.distributed import window
from raydet.distributed.rows import ActorPool, RowStream
from raydet.distributed.stream import StreamCarrier

pytestmark = pytest.mark.ray

NORM = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "Resize", "img_scale": [(96, 64), (120, 80)], "multiscale_mode": "value", "keep_ratio": True},
    {"type": "RandomFlip", "flip_ratio": 0.5},
    {"type": "Normalize", **NORM},
    {"type": "Pad", "size_divisor": 32},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_bboxes", "gt_labels"]},
]
SMALL = ActorPool(size=1, cpus=0.5, bytes_in_flight=32 * 1024**2)


def coco_dataset(annotations, images):
    section = {"type": "CocoDataset", "ann_file": annotations, "img_prefix": images, "pipeline": PIPELINE}
    return build_dataset({**section, "classes": ("blue", "green")})


@pytest.fixture
def dataset(coco):
    return coco_dataset(*coco)


def counting(count, bad=-1):
    return [{"number": number, "bad": bad} for number in range(count)]


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return one == other


@pytest.mark.parametrize(("size", "wanted"), [(2**10, 2**26), (2**18, 8 * 2 * 32 * 2**18), (2**24, 2**30)])
def test_actors_read_eight_rows_ahead_and_no_further(dataset, size, wanted):
    carrier = StreamCarrier(dataset, IndexPlan.of(dataset, 2), pool=ActorPool(size=2), read_meanwhile=True)
    next(iter(carrier.iterate(0)))
    assert carrier._bytes_per_sample >= 3 * 64 * 96
    carrier._bytes_per_sample = size
    assert carrier._fitting_pool(32).bytes_in_flight == wanted


def test_row_stream_over_several_windows_keeps_order(ray_cluster, monkeypatch):
    monkeypatch.setattr(rows_module, "FIRST_WINDOW", 3)
    monkeypatch.setattr(rows_module, "WINDOW", 8)
    stream = RowStream(Counting, (10,), counting(18), ActorPool(size=2, cpus=0.25))
    assert [int(columns["number"][0]) for columns in stream] == list(range(18))


def test_row_stream_prepares_the_next_window_without_its_actors(ray_cluster, monkeypatch):
    monkeypatch.setattr(rows_module, "FIRST_WINDOW", 80)
    stream = RowStream(Counting, (10,), counting(200), SMALL)
    assert len(list(itertools.islice(iter(stream), 40))) == 40
    _, following = stream._open
    assert following._executor is None
    assert not following.ready
    stream.close()
    assert following.ready


def test_row_stream_with_error_in_worker_raises_it(ray_cluster):
    stream = RowStream(Counting, (10,), counting(4, bad=2), SMALL)
    with pytest.raises(ValueError, match="row 2 is bad"):
        list(stream)
    stream.close()


def test_row_stream_with_slow_reader_bounds_bytes_in_flight(ray_cluster):
    pool = ActorPool(size=1, cpus=0.5, bytes_in_flight=20 * 1024**2)
    stream = RowStream(Counting, (4 * 1024**2,), counting(200), pool)
    columns = iter(stream)
    next(columns)
    time.sleep(3)
    import ray

    used = ray.cluster_resources()["object_store_memory"] - ray.available_resources()["object_store_memory"]
    stream.close()
    assert used < 60 * 1024**2


def test_scheduler_rests_while_finished_rows_wait(ray_cluster, monkeypatch):
    rounds = []
    monkeypatch.setattr(
        window.time, "sleep", lambda seconds, sleep=window.time.sleep: rounds.append(1) or sleep(seconds)
    )
    stream = RowStream(Counting, (10,), counting(400), SMALL)
    next(iter(stream))
    time.sleep(2)
    before = len(rounds)
    time.sleep(1)
    assert 0 < len(rounds) - before < 15  # one in a hundred and ten milliseconds; it was one in fifteen
    stream.close()


def test_closed_stream_leaves_no_thread_and_no_actor_behind(ray_cluster):
    import ray

    cpus = free_cpus(ray.cluster_resources()["CPU"])
    threads = set(threading.enumerate())
    pool = ActorPool(size=1, cpus=0.5, bytes_in_flight=20 * 1024**2)
    stream = RowStream(Counting, (4 * 1024**2,), counting(200), pool)
    next(iter(stream))
    time.sleep(1)  # the actor waits with a finished row for somebody to take it
    assert ray.available_resources()["CPU"] < cpus
    stream.close()
    assert not [each for each in set(threading.enumerate()) - threads if "_fetch" in each.name]
    assert free_cpus(cpus) >= cpus


def test_stream_closed_amid_the_work_keeps_nothing_that_holds_actors(ray_cluster):
    stream = RowStream(Counting, (4 * 1024**2,), counting(200), SMALL)
    reading = iter(stream)
    next(reading)
    executor = weakref.ref(stream._first._executor)
    gc.disable()  # as good as off in a process of many objects
    try:
        stream.close()
        assert executor() is None
    finally:
        gc.enable()


def test_stream_closes_while_its_actors_wait_for_room(ray_cluster):
    import ray

    stream = RowStream(Counting, (10,), counting(4), ActorPool(size=1, cpus=ray.cluster_resources()["CPU"] + 1))
    time.sleep(1)
    assert not stream.ready
    closing = threading.Thread(target=stream.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


@pytest.mark.parametrize(("size", "samples"), [(2**10, 64), (2**23, 16), (2**28, 1)])
def test_rows_are_short_enough_for_four_of_each_actor_in_flight(dataset, size, samples):
    carrier = StreamCarrier(dataset, IndexPlan.of(dataset, 1), pool=ActorPool(size=2))
    carrier._bytes_per_sample = size
    assert carrier._row_length(carrier._new_reader()) == samples


@pytest.mark.parametrize("world_size", [1, 2])
def test_stream_carrier_gives_batches_of_loader_carrier(ray_cluster, dataset, world_size):
    plan = IndexPlan.of(dataset, 2, world_size=world_size, seed=3)
    for rank in range(world_size):
        loader = LoaderCarrier(dataset, plan, rank, num_workers=0)
        stream = StreamCarrier(dataset, plan, rank, pool=SMALL, epochs=3)
        assert len(stream) == len(loader)
        for epoch in range(3):
            pairs = list(itertools.zip_longest(loader.iterate(epoch), stream.iterate(epoch)))
            assert len(pairs) == len(loader)
            assert all(equal(one, other) for one, other in pairs)
        stream.close()


def test_stream_carrier_reads_itself_until_its_actors_are_up(ray_cluster, dataset):
    plan = IndexPlan.of(dataset, 2, seed=3)
    loader = LoaderCarrier(dataset, plan, num_workers=0)
    stream = StreamCarrier(dataset, plan, pool=SMALL, epochs=200, read_meanwhile=True)
    for epoch in range(200):
        assert all(equal(*pair) for pair in itertools.zip_longest(loader.iterate(epoch), stream.iterate(epoch)))
        if stream.num_read_meanwhile < (epoch + 1) * len(loader):
            break  # the last batches came from the actors
        time.sleep(0.2)
    stream.close()
    assert 0 < stream.num_read_meanwhile < (epoch + 1) * len(loader)


def test_stream_carrier_from_the_middle_of_an_epoch_gives_the_rest(ray_cluster, dataset):
    plan = IndexPlan.of(dataset, 2, seed=3)
    loader = LoaderCarrier(dataset, plan, num_workers=0)
    stream = StreamCarrier(dataset, plan, pool=SMALL, epochs=3)
    abandoned = stream.iterate(0)
    next(abandoned)
    for position in ((1, 5), (2, 0)):
        assert all(map(equal, loader.iterate(*position), stream.iterate(*position)))
    stream.close()


def test_stream_carrier_skips_bad_samples_and_lists_them(ray_cluster, coco, tmp_path):
    annotations, images = coco
    damaged = shutil.copytree(images, tmp_path / "images")
    (damaged / "4.png").unlink()
    dataset = coco_dataset(annotations, str(damaged))
    records = []
    policy = BadSamplePolicy("skip", quota=0.5)
    carrier = StreamCarrier(
        dataset, IndexPlan.of(dataset, 2), pool=SMALL, bad_samples=policy, on_bad_samples=records.extend, epochs=1
    )
    assert len(list(carrier.iterate(0))) == len(carrier)
    assert "4.png" in records[0]["file"]
    carrier.close()
