"""Instance masks of one image, as bitmaps or as polygons, with one set of operations."""

from raydet.structures.masks.base import Masks, rescaled_size
from raydet.structures.masks.bitmap import BitmapMasks
from raydet.structures.masks.polygon import PolygonMasks, polygons_to_bitmap

__all__ = ["BitmapMasks", "Masks", "PolygonMasks", "polygons_to_bitmap", "rescaled_size"]
