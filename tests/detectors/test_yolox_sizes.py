"""YOLOX changes the size of training batches, alike on all ranks, and a resumed run goes on with the same sizes."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from raydet.detectors.yolox import _of_rank_0
from raydet.engine import resume


def sizes_of(model: Any, tiny: Any, steps: int) -> list[tuple[int, ...]]:
    """The sizes of the images that reach the backbone."""
    seen: list[tuple[int, ...]] = []
    handle = model.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[2:])))
    for _ in range(steps):
        model(**tiny.training_batch("YOLOX"))
    handle.remove()
    return seen


def test_size_changes_after_each_interval_and_keeps_the_proportion(tiny: Any) -> None:
    model = tiny.make("YOLOX", random_size_range=(1, 3))
    random.seed(1)
    units = [random.randint(1, 3) for _ in range(2)]
    random.seed(1)
    drawn = [(32 * unit, 32 * int(1.5 * unit)) for unit in units]
    assert sizes_of(model, tiny, 6) == [(64, 96)] * 2 + [drawn[0]] * 2 + [drawn[1]] * 2


def test_boxes_grow_with_the_images_and_the_batch_stays_as_it_was(tiny: Any) -> None:
    model = tiny.make("YOLOX", random_size_range=(4, 4))
    sizes_of(model, tiny, 2)
    seen = []
    batch = tiny.training_batch("YOLOX")
    batch["gt_bboxes_ignore"] = [each[:1] for each in batch["gt_bboxes"]]
    before = batch["gt_bboxes"][0].clone()
    model.bbox_head.loss = lambda feats, resized: seen.append(resized) or {"loss": feats[0].sum()}
    model(**batch)
    assert seen[0].images.shape[2:] == (128, 192)
    assert torch.allclose(seen[0].truths[0].boxes, before * 2)
    assert torch.allclose(seen[0].truths[0].ignored, before[:1] * 2)
    assert torch.equal(batch["gt_bboxes"][0], before)


def test_no_size_is_drawn_in_testing(tiny: Any) -> None:
    model = tiny.make("YOLOX")
    before = model.training_state()
    model(img=[tiny.images(1)], img_metas=[[tiny.meta()]], return_loss=False)
    assert model.training_state() == before == {"size": [64, 96], "iterations": 0}


def test_checkpoint_of_a_run_knows_the_size(tiny: Any) -> None:
    class Runner:
        def __init__(self, model: Any) -> None:
            self.model = model

    model = tiny.make("YOLOX", random_size_range=(1, 3))
    random.seed(3)
    sizes_of(model, tiny, 5)
    state = {"model": resume._state_of(model)}
    going_on = sizes_of(model, tiny, 1)
    resumed = tiny.make("YOLOX")
    resume.load_model_state(Runner(resumed), state)
    assert sizes_of(resumed, tiny, 1) == going_on
    assert resumed.training_state()["iterations"] == 6
    assert "iterations" not in "".join(resumed.state_dict())


def _broadcast(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    size = _of_rank_0((32 * (rank + 1), 64 * (rank + 1)), torch.device("cpu"))
    Path(folder, str(rank)).write_text(str(size))
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_ranks_take_the_size_of_the_first() -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_broadcast, (folder,), nprocs=2)
        assert [Path(folder, str(rank)).read_text() for rank in range(2)] == ["(32, 64)", "(32, 64)"]
