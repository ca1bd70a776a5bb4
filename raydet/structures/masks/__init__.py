"""Instance masks of one image, as bitmaps or as polygons, with one set of operations."""

from raydet.structures.masks.base import Masks, rescaled_size
from raydet.structures.masks.bitmap import BitmapMasks
from raydet.structures.masks.polygon import PolygonMasks, polygons_to_bitmap
from raydet.structures.masks.rle import encode_bitmaps

__all__ = ["BitmapMasks", "Masks", "PolygonMasks", "encode_bitmaps", "polygons_to_bitmap", "rescaled_size"]
