"""Data sets, the plan of which sample comes when, and the carriers that bring batches to the training loop."""

from raydet.datasets.bad_samples import BadSampleCounter, BadSamplePolicy, list_file, list_in
from raydet.datasets.builder import DATASETS, PIPELINES, build_dataset
from raydet.datasets.carrier import Carrier, LoaderCarrier
from raydet.datasets.cityscapes import CityscapesDataset
from raydet.datasets.coco import CocoDataset
from raydet.datasets.coco_occluded import OccludedSeparatedCocoDataset
from raydet.datasets.coco_panoptic import CocoPanopticDataset
from raydet.datasets.collate import collate
from raydet.datasets.custom import CustomDataset
from raydet.datasets.deepfashion import DeepFashionDataset
from raydet.datasets.device import plan_normalization, to_device, without_normalization
from raydet.datasets.loaders import (
    bad_sample_policy,
    build_carrier,
    build_dataloader,
    loader_settings,
    make_plan,
)
from raydet.datasets.lvis import LVISDataset, LVISV05Dataset, LVISV1Dataset
from raydet.datasets.multi_image import MultiImageMixDataset
from raydet.datasets.objects365 import Objects365V1Dataset, Objects365V2Dataset
from raydet.datasets.open_images import OpenImagesChallengeDataset, OpenImagesDataset
from raydet.datasets.parcel import Container, unload
from raydet.datasets.parquet import ParquetDataset
from raydet.datasets.parquet_writer import write_parquet
from raydet.datasets.pipelines import get_loading_pipeline, replace_ImageToTensor
from raydet.datasets.pixels import NormSpec
from raydet.datasets.plan import Draw, IndexPlan, Plan
from raydet.datasets.reader import BatchReader
from raydet.datasets.samplers import (
    ClassAwareSampler,
    DistributedGroupSampler,
    DistributedSampler,
    GroupSampler,
    InfiniteBatchSampler,
    InfiniteGroupBatchSampler,
)
from raydet.datasets.seeding import drawn_from, sample_seed
from raydet.datasets.voc import VOCDataset
from raydet.datasets.wider_face import WIDERFaceDataset
from raydet.datasets.wire import pack, unpack
from raydet.datasets.wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset
from raydet.datasets.xml_style import XMLDataset
from raydet.datasets.yolo import YOLODataset

__all__ = [
    "DATASETS",
    "PIPELINES",
    "BadSampleCounter",
    "BadSamplePolicy",
    "BatchReader",
    "Carrier",
    "CityscapesDataset",
    "ClassAwareSampler",
    "ClassBalancedDataset",
    "CocoDataset",
    "CocoPanopticDataset",
    "ConcatDataset",
    "Container",
    "CustomDataset",
    "DeepFashionDataset",
    "DistributedGroupSampler",
    "DistributedSampler",
    "Draw",
    "GroupSampler",
    "IndexPlan",
    "InfiniteBatchSampler",
    "InfiniteGroupBatchSampler",
    "LVISDataset",
    "LVISV05Dataset",
    "LVISV1Dataset",
    "LoaderCarrier",
    "MultiImageMixDataset",
    "NormSpec",
    "Objects365V1Dataset",
    "Objects365V2Dataset",
    "OccludedSeparatedCocoDataset",
    "OpenImagesChallengeDataset",
    "OpenImagesDataset",
    "ParquetDataset",
    "Plan",
    "RepeatDataset",
    "VOCDataset",
    "WIDERFaceDataset",
    "XMLDataset",
    "YOLODataset",
    "bad_sample_policy",
    "build_carrier",
    "build_dataloader",
    "build_dataset",
    "collate",
    "drawn_from",
    "get_loading_pipeline",
    "list_file",
    "list_in",
    "loader_settings",
    "make_plan",
    "pack",
    "plan_normalization",
    "replace_ImageToTensor",
    "sample_seed",
    "to_device",
    "unload",
    "unpack",
    "without_normalization",
    "write_parquet",
]
