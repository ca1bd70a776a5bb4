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
from raydet.visualization.stages import Stage, draw_stages, pictures_of, stage_files

__all__ = [
    "Objects",
    "Stage",
    "Style",
    "class_color",
    "draw_comparison",
    "draw_ground_truth",
    "draw_objects",
    "draw_stages",
    "image_file",
    "objects_from_annotation",
    "objects_from_result",
    "pictures_of",
    "read_image",
    "show_result",
    "stage_files",
    "write_image",
]
