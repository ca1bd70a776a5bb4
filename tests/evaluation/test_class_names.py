from __future__ import annotations

import pytest

from raydet.evaluation import get_classes


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("coco", 80, "toothbrush"),
        ("mscoco", 80, "toothbrush"),
        ("voc07", 20, "tvmonitor"),
        ("cityscapes", 8, "bicycle"),
        ("WIDERFace", 1, "face"),
        ("det", 200, "zebra"),
        ("vid", 30, "zebra"),
    ],
)
def test_get_classes_by_name_or_alias_gives_all_names(name, count, last):
    names = get_classes(name)
    assert (len(names), names[-1]) == (count, last)


def test_get_classes_of_unknown_data_set_says_which_are_known():
    with pytest.raises(ValueError, match=r"'kitti'; class names are known of coco, voc"):
        get_classes("kitti")


def test_get_classes_of_no_name_is_refused():
    with pytest.raises(TypeError, match="list"):
        get_classes(["coco"])
