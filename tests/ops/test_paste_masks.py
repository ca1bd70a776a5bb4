from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from raydet_ops import paste, paste_masks

SIZE = (20, 24)
MASKS = torch.rand(4, 7, 5, generator=torch.Generator().manual_seed(0))
BOXES = torch.tensor([[3.2, 1.1, 15.7, 12.0], [-4.0, 2.0, 9.5, 40.0], [5.0, 6.0, 6.0, 7.5], [30.0, 30.0, 50.0, 50.0]])
ODD = torch.tensor([[float("nan"), 0, 5, 5], [0, 0, float("inf"), 5], [-1e30, 0, 1e30, 5], [9, 9, 2, 2]])


def sampled(masks, boxes):
    """Bilinear samples at the centres of pixels, in the coordinates of each box, up to one pixel around it."""
    y, x = (torch.arange(side) + 0.5 for side in SIZE)
    across = (x - boxes[:, :1]) / (boxes[:, 2:3] - boxes[:, :1]) * 2 - 1
    down = (y - boxes[:, 1:2]) / (boxes[:, 3:] - boxes[:, 1:2]) * 2 - 1
    grid = torch.stack([across[:, None].expand(-1, SIZE[0], -1), down[:, :, None].expand(-1, -1, SIZE[1])], dim=-1)
    values = F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0]
    columns = (x > boxes[:, :1].floor() - 1) & (x < boxes[:, 2:3].ceil() + 1)
    rows = (y > boxes[:, 1:2].floor() - 1) & (y < boxes[:, 3:].ceil() + 1)
    return values * rows[:, :, None] * columns[:, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pasting_equals_sampling(dtype):
    masks, boxes = MASKS.to(dtype), BOXES.to(dtype)
    soft = sampled(masks, boxes)
    assert torch.equal(paste_masks(masks, boxes, SIZE, 0.5), soft >= 0.5)
    assert ((paste_masks(masks, boxes, SIZE, -1).double() - soft * 255).abs() <= 1.001).all()


@pytest.mark.parametrize("threshold", [0.5, -1.0])
def test_the_plain_version_agrees(threshold):
    boxes = torch.cat([BOXES, torch.tensor([[3.0, 3.0, 3.0, 8.0]])])
    masks = torch.cat([MASKS, MASKS[:1]])
    plain = torch.zeros(5, *SIZE, dtype=torch.uint8)
    paste._plain(masks, boxes, plain, threshold)
    ours = paste_masks(masks, boxes, SIZE, threshold).to(torch.uint8)
    assert ((ours.int() - plain.int()).abs() <= (threshold < 0)).all()


def test_half_precision_and_strides_change_nothing():
    masks = MASKS.half()
    expected = paste_masks(masks.float(), BOXES, SIZE, 0.5)
    assert torch.equal(paste_masks(masks, BOXES, SIZE, 0.5), expected)
    strided = masks.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(paste_masks(strided, BOXES, SIZE, 0.5), expected)


def test_pasting_nothing_is_empty():
    assert paste_masks(MASKS[:0], BOXES[:0], SIZE, 0.5).shape == (0, *SIZE)
    assert not paste_masks(MASKS, BOXES, (0, 5), 0.5).numel()


def test_boxes_that_are_not_finite_show_nothing():
    assert not paste_masks(MASKS, ODD, SIZE, 0.5)[:2].any()


def test_pasting_keeps_the_rules_of_pytorch():
    canvas = torch.zeros(4, *SIZE, dtype=torch.uint8)
    torch.library.opcheck(torch.ops.raydet.paste_masks.default, (MASKS, BOXES, canvas, 0.5))


def test_pasting_compiles_as_one_graph():
    compiled = torch.compile(paste_masks, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(MASKS, BOXES, SIZE, 0.5), paste_masks(MASKS, BOXES, SIZE, 0.5))


def test_threads_do_not_change_the_result():
    threads, many = torch.get_num_threads(), (MASKS.repeat(50, 1, 1), BOXES.repeat(50, 1), SIZE, 0.5)
    one = paste_masks(*many)
    try:
        torch.set_num_threads(4)
        assert torch.equal(paste_masks(*many), one)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((MASKS[0], BOXES, SIZE, 0.5), "masks"),
        ((MASKS, BOXES[:2], SIZE, 0.5), "boxes"),
        ((MASKS.long(), BOXES, SIZE, 0.5), "masks"),
        ((MASKS, BOXES.to("meta"), SIZE, 0.5), "device"),
        ((MASKS, BOXES, (-1, 5), 0.5), "size"),
    ],
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises((ValueError, TypeError), match=word):
        paste_masks(*arguments)
