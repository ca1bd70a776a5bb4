"""Both carriers give the same samples with the same pixels: on several ranks, of mixed images, past a killed actor."""

import itertools
import os
import signal
from pathlib import Path

import pytest
import torch
from ray_workers import LeavesItsProcess
from test_stream import PIPELINE, equal

from raydet.datasets import IndexPlan, LoaderCarrier, RepeatDataset, build_dataset, to_device
from raydet.distributed.rows import ActorPool
from raydet.distributed.stream import StreamCarrier

pytestmark = [pytest.mark.ray, pytest.mark.slow]

MIX = [
    {"type": "Mosaic", "img_scale": (64, 64)},
    {"type": "RandomAffine", "border": (-32, -32)},
    {"type": "MixUp", "img_scale": (64, 64)},
    {"type": "YOLOXHSVRandomAug"},
    *PIPELINE[3:],
]


def coco_section(coco, pipeline):
    annotations, images = coco
    section = {"type": "CocoDataset", "ann_file": annotations, "img_prefix": images, "classes": ("blue", "green")}
    return {**section, "pipeline": pipeline}


def mixed_dataset(coco):
    return build_dataset({"type": "MultiImageMixDataset", "dataset": coco_section(coco, PIPELINE[:2]), "pipeline": MIX})


def names_of(batches):
    return [meta["ori_filename"] for batch in batches for meta in batch["img_metas"]]


def read(carriers, epoch):
    """The batches of an epoch, rank by rank; all ranks read at once."""
    steps = list(zip(*(carrier.iterate(epoch) for carrier in carriers), strict=True))
    return [[step[rank] for step in steps] for rank in range(len(carriers))]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_every_rank_gets_the_batches_of_the_plan_for_two_epochs(ray_cluster, coco, world_size):
    dataset = build_dataset(coco_section(coco, PIPELINE))
    plan = IndexPlan.of(dataset, 2, world_size=world_size, seed=5)
    pool = ActorPool(size=1, cpus=0.25, bytes_in_flight=16 * 1024**2)
    streams = [StreamCarrier(dataset, plan, rank, pool=pool, epochs=2) for rank in range(world_size)]
    loaders = [LoaderCarrier(dataset, plan, rank, num_workers=0) for rank in range(world_size)]
    for epoch in range(2):
        streamed, loaded = read(streams, epoch), read(loaders, epoch)
        assert [names_of(batches) for batches in streamed] == [names_of(batches) for batches in loaded]
        assert equal(streamed, loaded)
        assert len({name for batches in streamed for name in names_of(batches)}) == len(dataset)
    for stream in streams:
        stream.close()


def test_mixed_images_are_the_same_and_a_mix_that_is_switched_off_stays_off(ray_cluster, coco):
    dataset = mixed_dataset(coco)
    plan = IndexPlan.of(dataset, 2, seed=5)
    stream = StreamCarrier(dataset, plan, pool=ActorPool(size=1, cpus=0.5), epochs=2)
    loader = LoaderCarrier(dataset, plan, num_workers=2)
    mixed = list(stream.iterate(0))
    assert equal(mixed, list(loader.iterate(0)))
    assert {tuple(batch["img"].shape[2:]) for batch in mixed} == {(64, 64)}
    dataset.update_skip_type_keys(["Mosaic", "RandomAffine", "MixUp"])
    plain = list(stream.iterate(1))
    assert equal(plain, list(loader.iterate(1)))
    assert (64, 64) not in {tuple(batch["img"].shape[2:]) for batch in plain}
    stream.close()
    loader.close()


def test_killed_actor_loses_and_repeats_no_sample(ray_cluster, coco, tmp_path):
    (tmp_path / "processes").mkdir()
    quiet = build_dataset(coco_section(coco, PIPELINE))
    watched = build_dataset(coco_section(coco, [LeavesItsProcess(tmp_path / "processes"), *PIPELINE]))
    plan = IndexPlan.of(quiet, 1, seed=5)
    pool = ActorPool(size=2, cpus=0.25, bytes_in_flight=16 * 1024**2)
    stream = StreamCarrier(watched, plan, pool=pool, epochs=4, defer_normalization=False)
    loader = LoaderCarrier(quiet, plan, num_workers=0, defer_normalization=False)
    for epoch in range(4):
        streamed = []
        for batch in stream.iterate(epoch):
            streamed.append(batch)
            if epoch == 1 and len(streamed) == 3:
                killed = max(int(path.name) for path in (tmp_path / "processes").iterdir())
                os.kill(killed, signal.SIGKILL)
        loaded = list(loader.iterate(epoch))
        assert names_of(streamed) == names_of(loaded)
        assert equal(streamed, loaded)
    stream.close()


def test_images_arrive_as_bytes_that_may_be_written_to(ray_cluster, coco):
    dataset = build_dataset(coco_section(coco, PIPELINE))
    stream = StreamCarrier(dataset, IndexPlan.of(dataset, 2), pool=ActorPool(size=1, cpus=0.5), epochs=1)
    batch = next(stream.iterate(0))
    assert batch["img"].dtype == torch.uint8
    batch["img"].add_(1)
    stream.close()


def own_megabytes():
    """Memory that this process shares with nobody."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1024


def test_loop_over_a_stream_does_not_grow(ray_cluster, coco):
    dataset = RepeatDataset(build_dataset(coco_section(coco, PIPELINE)), 100)
    stream = StreamCarrier(dataset, IndexPlan.of(dataset, 1, seed=5), pool=ActorPool(size=1, cpus=0.5), epochs=2)
    batches = itertools.chain(stream.iterate(0), stream.iterate(1))
    for batch in itertools.islice(batches, 2000):
        to_device(batch, "cpu")
    before = own_megabytes()
    for batch in itertools.islice(batches, 2000):
        to_device(batch, "cpu")
    assert own_megabytes() - before <= 2 * 1.0
    stream.close()
