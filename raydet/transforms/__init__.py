"""Transforms: each takes the 2.x `results` dict of one sample and returns it changed, or None to give the sample up."""

from raydet.transforms.base import Results, Transform
from raydet.transforms.color import PhotoMetricDistortion
from raydet.transforms.compose import Compose
from raydet.transforms.crop import RandomCrop
from raydet.transforms.files import BadSampleError, decode_image, read_bytes, read_image
from raydet.transforms.flip import RandomFlip
from raydet.transforms.formatting import (
    Collect,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
    WrapFieldsToLists,
    to_tensor,
)
from raydet.transforms.loading import FilterAnnotations, LoadAnnotations, LoadImageFromFile, LoadProposals
from raydet.transforms.normalize import Normalize
from raydet.transforms.pad import Pad
from raydet.transforms.resize import Resize
from raydet.transforms.test_time import MultiScaleFlipAug

__all__ = [
    "BadSampleError",
    "Collect",
    "Compose",
    "DefaultFormatBundle",
    "FilterAnnotations",
    "ImageToTensor",
    "LoadAnnotations",
    "LoadImageFromFile",
    "LoadProposals",
    "MultiScaleFlipAug",
    "Normalize",
    "Pad",
    "PhotoMetricDistortion",
    "RandomCrop",
    "RandomFlip",
    "Resize",
    "Results",
    "ToDataContainer",
    "ToTensor",
    "Transform",
    "Transpose",
    "WrapFieldsToLists",
    "decode_image",
    "read_bytes",
    "read_image",
    "to_tensor",
]
