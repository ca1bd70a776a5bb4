"""`raydet optimize-anchors`."""

import json

import pytest

from raydet.cli import main

YOLO = """_base_ = 'raydet::demo/nuclei_retinanet.py'
model = dict(bbox_head=dict(anchor_generator=dict(
    _delete_=True, type='YOLOAnchorGenerator', strides=[32, 16, 8],
    base_sizes=[[(116, 90), (156, 198), (373, 326)], [(30, 61), (62, 45), (59, 119)], [(10, 13), (16, 30), (33, 23)]])))
"""


@pytest.mark.parametrize("algorithm", ["k-means", "v5-k-means", "differential_evolution"])
def test_sizes_of_yolo_are_fitted_and_written(tmp_path, capsys, algorithm):
    (tmp_path / "yolo.py").write_text(YOLO)
    arguments = [
        "--algorithm",
        algorithm,
        "--input-shape",
        "256",
        "256",
        "--iters",
        "60",
        "--output-dir",
        str(tmp_path),
    ]
    assert main(["optimize-anchors", str(tmp_path / "yolo.py"), *arguments]) == 0
    sizes = json.loads((tmp_path / "anchor_optimize_result.json").read_text())
    assert len(sizes) == 9
    said = capsys.readouterr().out
    before, after = (float(line.split()[-1]) for line in said.splitlines() if "mean best IoU" in line)
    # the others do not look at where the places are
    assert after > before or algorithm != "differential_evolution"
    assert "base_sizes=" in said


def test_scales_and_ratios_are_fitted(capsys):
    assert main(["optimize-anchors", "demo/trees_faster_rcnn", "--algorithm", "k-means", "--num-anchors", "6"]) == 0
    assert "model.rpn_head.anchor_generator = scales=[" in capsys.readouterr().out


def test_too_many_sides_are_wrong_use(capsys):
    assert main(["optimize-anchors", "demo/trees_faster_rcnn", "--input-shape", "1", "2", "3"]) == 2
    assert "one side, or width and height" in capsys.readouterr().err
