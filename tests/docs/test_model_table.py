"""docs/models.md says what the shipped configs are."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tools.model_table import CONFIGS, PAGE, measure, page, rows, sizes_in  # noqa: E402


def test_page_has_every_folder_of_configs_as_it_is_now() -> None:
    text = PAGE.read_text()
    assert page(rows(), sizes_in(text)) == text, "docs/models.md is not up to date: run `make models`"


def test_papers_are_found_wherever_a_part_names_them() -> None:
    papers = {row.folder: row.papers for row in rows()}
    assert papers["lad"] == ["2108.10520", "2007.08103"]  # detector and head
    assert papers["pisa"] == ["1904.04821"]  # the docstring of the head's file
    assert "1811.05181" in papers["ghm"]  # a loss


def test_sizes_are_those_that_2x_names() -> None:
    file = CONFIGS / "retinanet" / "retinanet_r50_fpn_1x_coco.py"
    # 2.x says 37.74 M, which leaves out 0.23 M that are frozen, and counts 239.3 G pairs of operations.
    assert measure(file) == ("800 x 1280", "38.0", "477.1")


def test_sizes_on_the_page_are_those_of_the_model() -> None:
    name = "retinanet_r18_fpn_1x_coco"
    assert measure(CONFIGS / "retinanet" / f"{name}.py") == sizes_in(PAGE.read_text())[name]
