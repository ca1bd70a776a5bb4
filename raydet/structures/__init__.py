"""Masks, image metadata, batches and results: the nouns that every floor above speaks of."""

from raydet.structures.batch import Batch, GroundTruth
from raydet.structures.container import DataContainer
from raydet.structures.masks import BitmapMasks, Masks, PolygonMasks
from raydet.structures.meta import ImageMeta
from raydet.structures.panoptic import INSTANCE_OFFSET, VOID, ids_from_rgb, rgb_from_ids
from raydet.structures.results import Detections

__all__ = [
    "INSTANCE_OFFSET",
    "VOID",
    "Batch",
    "BitmapMasks",
    "DataContainer",
    "Detections",
    "GroundTruth",
    "ImageMeta",
    "Masks",
    "PolygonMasks",
    "ids_from_rgb",
    "rgb_from_ids",
]
