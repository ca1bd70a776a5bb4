"""Transforms: each takes the 2.x `results` dict of one sample and returns it changed, or None to give the sample up."""

from raydet.transforms.affine import Rotate, Shear, Translate
from raydet.transforms.albu import Albu
from raydet.transforms.auto_augment import AutoAugment
from raydet.transforms.base import Results, Transform
from raydet.transforms.center_crop import RandomCenterCropPad
from raydet.transforms.color import PhotoMetricDistortion, YOLOXHSVRandomAug
from raydet.transforms.compose import Compose
from raydet.transforms.copy_paste import CopyPaste
from raydet.transforms.corrupt import Corrupt
from raydet.transforms.crop import RandomCrop
from raydet.transforms.cutout import CutOut
from raydet.transforms.enhance import BrightnessTransform, ColorTransform, ContrastTransform, EqualizeTransform
from raydet.transforms.expand import Expand
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
from raydet.transforms.instaboost import InstaBoost
from raydet.transforms.loading import FilterAnnotations, LoadAnnotations, LoadImageFromFile, LoadProposals
from raydet.transforms.min_iou_crop import MinIoURandomCrop
from raydet.transforms.mixing import MixingTransform
from raydet.transforms.mixup import MixUp
from raydet.transforms.mosaic import Mosaic
from raydet.transforms.normalize import Normalize
from raydet.transforms.pad import Pad
from raydet.transforms.panoptic import LoadPanopticAnnotations
from raydet.transforms.random_affine import RandomAffine
from raydet.transforms.resize import Resize, SegRescale
from raydet.transforms.shift import RandomShift
from raydet.transforms.sources import LoadImageFromWebcam, LoadMultiChannelImageFromFiles
from raydet.transforms.test_time import MultiScaleFlipAug

__all__ = [
    "Albu",
    "AutoAugment",
    "BadSampleError",
    "BrightnessTransform",
    "Collect",
    "ColorTransform",
    "Compose",
    "ContrastTransform",
    "CopyPaste",
    "Corrupt",
    "CutOut",
    "DefaultFormatBundle",
    "EqualizeTransform",
    "Expand",
    "FilterAnnotations",
    "ImageToTensor",
    "InstaBoost",
    "LoadAnnotations",
    "LoadImageFromFile",
    "LoadImageFromWebcam",
    "LoadMultiChannelImageFromFiles",
    "LoadPanopticAnnotations",
    "LoadProposals",
    "MinIoURandomCrop",
    "MixUp",
    "MixingTransform",
    "Mosaic",
    "MultiScaleFlipAug",
    "Normalize",
    "Pad",
    "PhotoMetricDistortion",
    "RandomAffine",
    "RandomCenterCropPad",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "Resize",
    "Results",
    "Rotate",
    "SegRescale",
    "Shear",
    "ToDataContainer",
    "ToTensor",
    "Transform",
    "Translate",
    "Transpose",
    "WrapFieldsToLists",
    "YOLOXHSVRandomAug",
    "decode_image",
    "read_bytes",
    "read_image",
    "to_tensor",
]
