from __future__ import annotations

import numpy as np
import pytest

from raydet.visualization import Objects, Style, class_color, draw_objects
from raydet.visualization.palette import text_color


def grid(count):
    left = np.arange(count) % 10 * 20.0
    top = np.arange(count) // 10 * 20.0
    return np.stack([left, top, left + 18, top + 18], axis=1)


def objects(count):
    return Objects(grid(count), np.zeros(count, dtype=int), np.full(count, 0.5))


def covered(count):
    blank = np.zeros((200, 200, 3), dtype=np.uint8)
    return draw_objects(blank, objects(count), ["thing"]).any(axis=2).mean()


def test_draw_objects_in_a_crowd_shortens_labels():
    assert covered(100) < 0.75


def test_draw_objects_puts_a_label_above_the_box():
    blank = np.zeros((200, 200, 3), dtype=np.uint8)
    lone = Objects(np.array([[50.0, 100, 90, 150]]), np.array([0]), np.array([0.5]))
    assert draw_objects(blank, lone, ["thing"])[88:98, 55:80].any(axis=2).mean() > 0.5


def test_style_of_large_image_has_thicker_lines_and_letters():
    small, large = (Style().for_image(np.zeros((side, side, 3))) for side in (200, 1200))
    assert large[0] > small[0]
    assert large[1] > small[1]


def test_class_color_is_different_for_many_classes():
    assert len({class_color(label) for label in range(80)}) == 80


def test_class_color_beyond_the_palette_is_made_up():
    assert class_color(0, [(1, 2, 3)]) == (1, 2, 3)
    assert class_color(1, [(1, 2, 3)]) == class_color(1)


@pytest.mark.parametrize(("background", "expected"), [((255, 255, 0), (0, 0, 0)), ((0, 0, 160), (255, 255, 255))])
def test_text_color_contrasts_with_the_background(background, expected):
    assert text_color(background) == expected
