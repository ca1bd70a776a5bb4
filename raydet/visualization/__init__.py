"""Pictures of results and ground truth, drawn with OpenCV and Pillow."""

from raydet.visualization.draw import Style, draw_objects
from raydet.visualization.objects import Objects, objects_from_annotation, objects_from_result
from raydet.visualization.palette import class_color
from raydet.visualization.show import (
    draw_comparison,
    draw_ground_truth,
    image_file,
    read_image,
    show_result,
    write_image,
)

__all__ = [
    "Objects",
    "Style",
    "class_color",
    "draw_comparison",
    "draw_ground_truth",
    "draw_objects",
    "image_file",
    "objects_from_annotation",
    "objects_from_result",
    "read_image",
    "show_result",
    "write_image",
]
