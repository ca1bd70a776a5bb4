"""Several views of one image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raydet.structures import ImageMeta

NAMES = ["RetinaNet", "RPN", "FastRCNN", "MaskRCNN"]


def box_rows(result: Any) -> np.ndarray:
    boxes = result[0] if isinstance(result, tuple) else result
    return np.concatenate(boxes) if isinstance(boxes, list) else boxes


def full_meta(**changes: Any) -> dict[str, Any]:
    """Of an image that fills the whole input."""
    base = {"img_shape": (64, 96, 3), "ori_shape": (64, 96, 3), "scale_factor": np.ones(4), "flip": False}
    return {**base, **changes}


def flipped() -> dict[str, Any]:
    return full_meta(flip=True, flip_direction="horizontal")


@pytest.mark.parametrize("name", NAMES)
def test_one_identical_view_equals_simple_test(name: str, tiny: Any) -> None:
    model, image, metas = tiny.make(name), tiny.images(1), [full_meta()]
    outside = tiny.proposals_for(name, 1)
    simple = model.simple_test(image, metas, True, *(p[0] for p in outside.values()))[0]
    augmented = model.aug_test([image], [metas], True, *outside.values())[0]
    np.testing.assert_allclose(box_rows(augmented), box_rows(simple), atol=1e-4)
    if name == "MaskRCNN":
        for ours, theirs in zip(augmented[1], simple[1], strict=True):
            np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.parametrize("name", ["RetinaNet", "RPN", "MaskRCNN"])
def test_two_views_give_one_result_inside_the_original_image(name: str, tiny: Any) -> None:
    image = tiny.images(1)
    views, metas = (
        [image, image.flip(3)],
        [[full_meta(scale_factor=np.full(4, 2.0))], [flipped() | {"scale_factor": np.full(4, 2.0)}]],
    )
    metas[0][0]["ori_shape"] = (32, 48, 3)
    results = tiny.make(name)(img=views, img_metas=metas, return_loss=False, rescale=True)
    rows = box_rows(results[0])
    assert len(results) == 1
    assert len(rows) > 0
    assert rows[:, 2].max() <= 48
    if name == "MaskRCNN":
        assert {mask.shape for of_class in results[0][1] for mask in of_class} == {(32, 48)}


def test_masks_of_flipped_views_are_flipped_back(tiny: Any) -> None:
    model = tiny.make("MaskRCNN")
    head, box = model.roi_head, torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    gradient = torch.linspace(-4, 4, 28).expand(1, 3, 28, 28)
    answers = iter([gradient, gradient.flip(3)])
    head.run_masks = lambda *_: next(answers)
    metas = [ImageMeta.from_dict(full_meta()), ImageMeta.from_dict(flipped())]
    merged = head._augmented_masks([(), ()], box, metas)
    torch.testing.assert_close(merged, gradient.sigmoid())


def test_augmented_boxes_without_rescale_lie_on_the_first_view(tiny: Any) -> None:
    model, image = tiny.make("RetinaNet"), tiny.images(1)
    metas = [full_meta() | {"scale_factor": np.full(4, 2.0), "ori_shape": (32, 48, 3)}]
    small = box_rows(model.aug_test([image], [metas], True)[0])
    large = box_rows(model.aug_test([image], [metas], False)[0])
    np.testing.assert_allclose(large[:, :4], small[:, :4] * 2, rtol=1e-5)
