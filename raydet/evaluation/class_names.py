"""Class names of well-known data sets."""

from __future__ import annotations

from raydet.datasets.class_names import names_of

_ALIASES = {
    "coco": ("mscoco", "ms_coco"),
    "voc": ("pascal_voc", "voc07", "voc12"),
    "cityscapes": (),
    "wider_face": ("WIDERFaceDataset", "WIDERFace"),
    "imagenet_vid": ("vid", "ilsvrc_vid"),
    "imagenet_det": ("det", "ilsvrc_det"),
}


def get_classes(dataset: str) -> list[str]:
    """Class names of a data set, words joined by underscores.

    Args:
        dataset: "coco", "voc", "cityscapes", "wider_face", "imagenet_det", "imagenet_vid" or a usual other name.

    Raises:
        TypeError: `dataset` is no string.
        ValueError: there is no such data set.
    """
    if not isinstance(dataset, str):
        raise TypeError(f"dataset must be a name, got {type(dataset).__name__}")
    for name, aliases in _ALIASES.items():
        if dataset == name or dataset in aliases:
            return [each.replace(" ", "_") for each in names_of(name)]
    raise ValueError(f"unknown data set {dataset!r}; class names are known of {', '.join(_ALIASES)}")
