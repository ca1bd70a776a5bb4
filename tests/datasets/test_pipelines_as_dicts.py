from __future__ import annotations

import pytest

from raydet.datasets import get_loading_pipeline, replace_ImageToTensor


def test_image_to_tensor_is_replaced_inside_augmentation(pipelines) -> None:
    steps = pipelines.test()
    replaced = replace_ImageToTensor(steps)
    assert [each["type"] for each in replaced[1]["transforms"]][4] == "DefaultFormatBundle"
    assert [each["type"] for each in steps[1]["transforms"]][4] == "ImageToTensor"


def test_loading_steps_are_found(pipelines) -> None:
    assert [each["type"] for each in get_loading_pipeline(pipelines.train())] == [
        "LoadImageFromFile",
        "LoadAnnotations",
    ]


def test_pipeline_without_annotations_has_no_loading_part(pipelines) -> None:
    with pytest.raises(ValueError, match="LoadImageFromFile"):
        get_loading_pipeline(pipelines.test())
