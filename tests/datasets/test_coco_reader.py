from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raydet.datasets.coco_reader import make_table, read_coco
from raydet.datasets.table import PackedRecords, narrowed


def test_annotations_out_of_order_are_grouped_by_image(coco_content, write_coco) -> None:
    expected = read_coco(write_coco(coco_content))
    coco_content["annotations"].sort(key=lambda each: each["id"] % 4)
    shuffled = read_coco(write_coco(coco_content))
    for image in range(6):
        ids = [set(table.ids[table.rows(image)].tolist()) for table in (expected, shuffled)]
        assert ids[0] == ids[1]


def test_columns_cannot_be_written_to(coco_content, write_coco) -> None:
    table = read_coco(write_coco(coco_content))
    with pytest.raises(ValueError, match="read-only"):
        table.boxes[0] = 0


def test_annotation_without_area_gets_that_of_its_box(coco_content, write_coco) -> None:
    del coco_content["annotations"][1]["area"]
    assert read_coco(write_coco(coco_content)).areas[1] == 120


def test_annotation_of_an_unknown_image_is_left_out_and_counted(coco_content, write_coco, caplog) -> None:
    coco_content["annotations"][0]["image_id"] = 999
    assert len(read_coco(write_coco(coco_content)).ids) == 14
    assert "1 annotations belong to images that are not in the file" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ('{"images": [\n1,', r"instances\.json:2: broken JSON"),
        ("[]", "'images' is missing"),
        ('{"images": [{"id": 1}]}', "image number 0 .* lacks file_name, height, width"),
    ],
)
def test_file_that_is_no_annotation_file_says_why(write_coco, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_coco(write_coco(text))


def test_table_of_a_dict_is_that_of_its_file(coco_content, write_coco) -> None:
    coco_content["annotations"][2]["bbox"][1] = float("nan")
    coco_content["annotations"][3]["segmentation"] = {"size": [40, 60], "counts": [3, 2397]}
    del coco_content["annotations"][4]["segmentation"]
    tables = [make_table(coco_content, "a dict"), read_coco(write_coco(coco_content))]
    for name in ("ids", "boxes", "areas", "categories", "crowd", "ignore", "offsets", "sizes"):
        np.testing.assert_array_equal(getattr(tables[0], name), getattr(tables[1], name))
    for table in tables:
        assert list(table.segmentations) == [each.get("segmentation") for each in coco_content["annotations"]]
        assert [image["filename"] for image in table.images] == [f"{i}.png" for i in range(1, 7)]


def test_numbers_written_as_text_are_read(coco_content, write_coco) -> None:
    coco_content["images"][1]["id"] = coco_content["annotations"][0]["image_id"] = "2"
    table = read_coco(write_coco(coco_content))
    assert table.image_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert table.ids[table.rows(1)].tolist() == [1]


def test_file_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        read_coco("nowhere.json")


def corrupt(content: dict[str, Any], what: str) -> None:
    first, second = content["annotations"][:2]
    if what == "category":
        first["category_id"] = 99
    elif what == "annotation ids":
        second["id"] = first["id"]
    elif what == "image ids":
        content["images"][1]["id"] = 1
    elif what == "image type":
        content["images"][0]["width"] = "wide"
    elif what == "annotation type":
        first["area"] = [1]
    elif what == "category ids":
        content["categories"][1]["id"] = 7
    else:
        del first["bbox"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("category", "annotation 1 has category_id 99"),
        ("annotation ids", "annotation ids are not unique"),
        ("image ids", "image ids are not unique"),
        ("category ids", "category ids are not unique"),
        ("image type", r"image number 0 \(id 1\) cannot be used: .*width"),
        ("annotation type", "annotation 1 cannot be used: .*area"),
        ("box", "annotation 1 needs bbox"),
    ],
)
def test_file_that_contradicts_itself_says_where(coco_content, write_coco, what: str, message: str) -> None:
    corrupt(coco_content, what)
    with pytest.raises(ValueError, match=message):
        read_coco(write_coco(coco_content))


def test_packed_records_behave_as_a_list() -> None:
    records = [{"a": 1}, None, [1.5, "x"]]
    packed = PackedRecords(records)
    assert list(packed) == records
    assert packed[-1] == [1.5, "x"]
    assert packed[1:] == records[1:]
    assert list(packed.take([2, 0])) == [records[2], records[0]]
    with pytest.raises(IndexError):
        packed[3]


def test_packed_records_of_nothing_are_empty() -> None:
    assert list(PackedRecords([])) == []
    assert len(PackedRecords([{}]).take(np.array([], int))) == 0


def test_packed_texts_are_records() -> None:
    packed = PackedRecords.of_json([b'{"a": 1}', b"", memoryview(b"[NaN]")])
    assert packed[0] == {"a": 1}
    assert packed[1] is None
    assert np.isnan(packed[2]).all()
    assert packed.take([2, 0]).take([1]).text(0) == b'{"a": 1}'


@pytest.mark.parametrize(("high", "kind"), [(127, np.int8), (128, np.int16), (-40000, np.int32), (2**40, np.int64)])
def test_integers_take_the_narrowest_type(high: int, kind: type) -> None:
    array = narrowed(np.array([high, -1]))
    assert array.dtype == kind
    assert array.tolist() == [high, -1]
