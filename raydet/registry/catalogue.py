"""Where each registered name lives: `type -> "module:attribute"`, resolved when first used.

Adding a member is one line here. `tests/contracts/test_registries.py` resolves every line and compares the constructor
arguments with those that the 2.x configs may use.
"""

from __future__ import annotations


def _at(module: str, *names: str, **renamed: str) -> dict[str, str]:
    """Entries for `names` that are attributes of `module`; `renamed` gives `type=attribute` pairs."""
    return {**{name: f"{module}:{name}" for name in names}, **{k: f"{module}:{v}" for k, v in renamed.items()}}


BACKBONES = {
    **_at("raydet.backbones.resnet", "ResNet", "ResNetV1d"),
    **_at("raydet.backbones.resnext", "ResNeXt"),
    **_at("raydet.backbones.regnet", "RegNet"),
    **_at("raydet.backbones.res2net", "Res2Net"),
    **_at("raydet.backbones.resnest", "ResNeSt"),
    **_at(
        "raydet.backbones.detectors_resnet",
        "DetectoRS_ResNet",
        DetectoRS_ResNeXt="DetectoRS_ResNet",
    ),
    **_at("raydet.backbones.trident_resnet", "TridentResNet"),
    **_at("raydet.backbones.hrnet", "HRNet"),
    **_at("raydet.backbones.hourglass", "HourglassNet"),
    **_at("raydet.backbones.darknet", "Darknet"),
    **_at("raydet.backbones.csp_darknet", "CSPDarknet"),
    **_at("raydet.backbones.ssd_vgg", "SSDVGG"),
    **_at("raydet.backbones.mobilenet_v2", "MobileNetV2"),
    **_at("raydet.backbones.efficientnet", "EfficientNet"),
    **_at("raydet.backbones.swin", "SwinTransformer"),
    **_at("raydet.backbones.pvt", "PyramidVisionTransformer", "PyramidVisionTransformerV2"),
    **_at("raydet.backbones.convnext", "ConvNeXt", **{"mmcls.ConvNeXt": "ConvNeXt"}),
    **_at("raydet.backbones.timm_backbone", "TIMMBackbone", **{"mmcls.TIMMBackbone": "TIMMBackbone"}),
}
NECKS = {
    **_at("raydet.necks.fpn", "FPN"),
    **_at("raydet.necks.pafpn", "PAFPN"),
    **_at("raydet.necks.channel_mapper", "ChannelMapper"),
    **_at("raydet.necks.ssd_neck", "SSDNeck"),
    **_at("raydet.necks.yolo_neck", "YOLOV3Neck"),
    **_at("raydet.necks.yolox_pafpn", "YOLOXPAFPN"),
    **_at("raydet.necks.ct_resnet_neck", "CTResNetNeck"),
    **_at("raydet.necks.dilated_encoder", "DilatedEncoder"),
    **_at("raydet.necks.bfp", "BFP"),
    **_at("raydet.necks.hrfpn", "HRFPN"),
    **_at("raydet.necks.nas_fpn", "NASFPN"),
    **_at("raydet.necks.nas_fcos_fpn", "NASFCOS_FPN"),
    **_at("raydet.necks.fpg", "FPG"),
    **_at("raydet.necks.fpn_carafe", "FPN_CARAFE"),
    **_at("raydet.necks.dyhead", "DyHead"),
    **_at("raydet.necks.rfp", "RFP"),
}
SHARED_HEADS = _at("raydet.heads.roi.shared", "ResLayer")
ROI_EXTRACTORS = _at("raydet.heads.roi.extractor", "SingleRoIExtractor")
# Heads for Ascend are names: the assigner decides whether targets have static shapes. So is PISA's SSD: settings do.
HEADS = {
    **_at("raydet.heads.dense.rpn", "RPNHead"),
    **_at("raydet.heads.dense.retina", "RetinaHead", AscendRetinaHead="RetinaHead"),
    **_at("raydet.heads.dense.retina_sepbn", "RetinaSepBNHead"),
    **_at("raydet.heads.dense.fsaf", "FSAFHead"),
    **_at("raydet.heads.dense.free_anchor", "FreeAnchorRetinaHead"),
    **_at("raydet.heads.dense.pisa", "PISARetinaHead"),
    **_at("raydet.heads.dense.fovea", "FoveaHead"),
    **_at("raydet.heads.dense.reppoints", "RepPointsHead"),
    **_at("raydet.heads.dense.guided_anchor", "GuidedAnchorHead", "GARetinaHead", "GARPNHead"),
    **_at("raydet.heads.dense.cascade_rpn", "CascadeRPNHead", "StageCascadeRPNHead"),
    **_at("raydet.heads.dense.sabl_retina", "SABLRetinaHead"),
    **_at("raydet.heads.dense.embedding_rpn", "EmbeddingRPNHead"),
    **_at("raydet.heads.dense.anchor", "AnchorHead", AscendAnchorHead="AnchorHead"),
    **_at("raydet.heads.dense.fcos", "FCOSHead"),
    **_at("raydet.heads.dense.nas_fcos", "NASFCOSHead"),
    **_at("raydet.heads.dense.vfnet", "VFNetHead"),
    **_at("raydet.heads.dense.ddod", "DDODHead"),
    **_at("raydet.heads.dense.tood", "TOODHead"),
    **_at("raydet.heads.dense.auto_assign", "AutoAssignHead"),
    **_at("raydet.heads.dense.atss", "ATSSHead"),
    **_at("raydet.heads.dense.gfl", "GFLHead"),
    **_at("raydet.heads.dense.paa", "PAAHead", LADHead="PAAHead"),  # its detector takes the targets from a teacher
    **_at("raydet.heads.dense.ld", "LDHead"),
    **_at("raydet.heads.dense.ssd", "SSDHead", PISASSDHead="SSDHead", AscendSSDHead="SSDHead"),
    **_at("raydet.heads.dense.yolo_v3", "YOLOV3Head"),
    **_at("raydet.heads.dense.yolof", "YOLOFHead"),
    **_at("raydet.heads.dense.yolox", "YOLOXHead"),
    **_at("raydet.heads.dense.yolact", "YOLACTHead"),
    **_at("raydet.heads.heatmap.center", "CenterNetHead"),
    **_at("raydet.heads.heatmap.corner", "CornerHead"),
    **_at("raydet.heads.heatmap.centripetal", "CentripetalHead"),
    **_at("raydet.heads.roi.standard", "StandardRoIHead"),
    **_at("raydet.heads.roi.bbox", "BBoxHead", "ConvFCBBoxHead", "Shared2FCBBoxHead", "Shared4Conv1FCBBoxHead"),
    **_at("raydet.heads.mask.fcn", "FCNMaskHead"),
    **_at("raydet.heads.mask.solo", "SOLOHead", "DecoupledSOLOHead", "DecoupledSOLOLightHead"),
    **_at("raydet.heads.mask.solo_v2", "SOLOV2Head"),
    **_at("raydet.heads.mask.segm", "YOLACTSegmHead"),
    **_at("raydet.heads.mask.protonet", "YOLACTProtonet"),
}
# Single-stage detectors are names for one class, and so are two-stage ones.
DETECTORS = {
    **_at(
        "raydet.detectors.single_stage",
        "SingleStageDetector",
        ATSS="SingleStageDetector",
        AutoAssign="SingleStageDetector",
        CenterNet="SingleStageDetector",
        CornerNet="SingleStageDetector",
        DDOD="SingleStageDetector",
        FCOS="SingleStageDetector",
        FOVEA="SingleStageDetector",
        FSAF="SingleStageDetector",
        GFL="SingleStageDetector",
        NASFCOS="SingleStageDetector",
        PAA="SingleStageDetector",
        RepPointsDetector="SingleStageDetector",
        RetinaNet="SingleStageDetector",
        TOOD="SingleStageDetector",
        VFNet="SingleStageDetector",
        YOLOF="SingleStageDetector",
        YOLOV3="SingleStageDetector",
    ),
    **_at(
        "raydet.detectors.single_stage_instance",
        "SingleStageInstanceSegmentor",
        SOLO="SingleStageInstanceSegmentor",
        SOLOv2="SingleStageInstanceSegmentor",
    ),
    **_at("raydet.detectors.yolact", "YOLACT"),
    **_at("raydet.detectors.distillation", "KnowledgeDistillationSingleStageDetector"),
    **_at("raydet.detectors.lad", "LAD"),
    **_at("raydet.detectors.yolox", "YOLOX"),
    **_at("raydet.detectors.rpn", "RPN"),
    **_at(
        "raydet.detectors.two_stage",
        "TwoStageDetector",
        "FastRCNN",
        FasterRCNN="TwoStageDetector",
        MaskRCNN="TwoStageDetector",
    ),
}

LOSSES = {
    **_at("raydet.losses.cross_entropy", "CrossEntropyLoss"),
    **_at("raydet.losses.focal", "FocalLoss"),
    **_at("raydet.losses.smooth_l1", "L1Loss", "SmoothL1Loss"),
    **_at("raydet.losses.iou", "IoULoss", "BoundedIoULoss", "GIoULoss", "DIoULoss", "CIoULoss"),
    **_at("raydet.losses.mse", "MSELoss"),
    **_at("raydet.losses.balanced_l1", "BalancedL1Loss"),
    **_at("raydet.losses.gaussian_focal", "GaussianFocalLoss"),
    **_at("raydet.losses.generalized_focal", "QualityFocalLoss", "DistributionFocalLoss"),
    **_at("raydet.losses.varifocal", "VarifocalLoss"),
    **_at("raydet.losses.distillation", "KnowledgeDistillationKLDivLoss"),
    **_at("raydet.losses.dice", "DiceLoss"),
    **_at("raydet.losses.ghm", "GHMC", "GHMR"),
    **_at("raydet.losses.seesaw", "SeesawLoss"),
    **_at("raydet.losses.associative_embedding", "AssociativeEmbeddingLoss"),
}
ASSIGNERS = {
    **_at("raydet.assignment.max_iou", "MaxIoUAssigner"),
    **_at("raydet.assignment.approx_max_iou", "ApproxMaxIoUAssigner"),
    **_at("raydet.assignment.ascend", "AscendMaxIoUAssigner"),
    **_at("raydet.assignment.grid", "GridAssigner"),
    **_at("raydet.assignment.atss", "ATSSAssigner"),
    **_at("raydet.assignment.task_aligned", "TaskAlignedAssigner"),
    **_at("raydet.assignment.sim_ota", "SimOTAAssigner"),
    **_at("raydet.assignment.center_region", "CenterRegionAssigner"),
    **_at("raydet.assignment.point", "PointAssigner"),
    **_at("raydet.assignment.region", "RegionAssigner"),
    **_at("raydet.assignment.uniform", "UniformAssigner"),
    **_at("raydet.assignment.hungarian", "HungarianAssigner", "MaskHungarianAssigner"),
}
SAMPLERS = {
    **_at("raydet.assignment.samplers", "RandomSampler", "PseudoSampler", "MaskPseudoSampler"),
    **_at("raydet.assignment.balanced", "InstanceBalancedPosSampler", "IoUBalancedNegSampler", "CombinedSampler"),
    **_at("raydet.assignment.hard", "OHEMSampler", "ScoreHLRSampler"),
}
MATCH_COSTS = _at(
    "raydet.assignment.match_costs",
    "BBoxL1Cost",
    "IoUCost",
    "ClassificationCost",
    "FocalLossCost",
    "CrossEntropyLossCost",
    "DiceCost",
)
IOU_CALCULATORS = _at("raydet.geometry.iou", "BboxOverlaps2D")
BBOX_CODERS = _at(
    "raydet.geometry.coders",
    "DeltaXYWHBBoxCoder",
    "LegacyDeltaXYWHBBoxCoder",
    "PseudoBBoxCoder",
    "DistancePointBBoxCoder",
    "TBLRBBoxCoder",
    "YOLOBBoxCoder",
    "BucketingBBoxCoder",
)
PRIOR_GENERATORS = _at(
    "raydet.geometry.priors",
    "AnchorGenerator",
    "LegacyAnchorGenerator",
    "SSDAnchorGenerator",
    "LegacySSDAnchorGenerator",
    "YOLOAnchorGenerator",
    "PointGenerator",
    "MlvlPointGenerator",
)

DATASETS = {
    **_at("raydet.datasets.custom", "CustomDataset"),
    **_at("raydet.datasets.coco", "CocoDataset"),
    **_at("raydet.datasets.coco_panoptic", "CocoPanopticDataset"),
    **_at("raydet.datasets.coco_occluded", "OccludedSeparatedCocoDataset"),
    **_at("raydet.datasets.lvis", "LVISDataset", "LVISV05Dataset", "LVISV1Dataset"),
    **_at("raydet.datasets.objects365", "Objects365V1Dataset", "Objects365V2Dataset"),
    **_at("raydet.datasets.cityscapes", "CityscapesDataset"),
    **_at("raydet.datasets.deepfashion", "DeepFashionDataset"),
    **_at("raydet.datasets.xml_style", "XMLDataset"),
    **_at("raydet.datasets.voc", "VOCDataset"),
    **_at("raydet.datasets.wider_face", "WIDERFaceDataset"),
    **_at("raydet.datasets.open_images", "OpenImagesDataset", "OpenImagesChallengeDataset"),
    **_at("raydet.datasets.yolo", "YOLODataset"),
    **_at("raydet.datasets.parquet", "ParquetDataset"),
    **_at("raydet.datasets.wrappers", "RepeatDataset", "ConcatDataset", "ClassBalancedDataset"),
    **_at("raydet.datasets.multi_image", "MultiImageMixDataset"),
}
TRANSFORMS = {
    **_at("raydet.transforms.compose", "Compose"),
    **_at("raydet.transforms.loading", "LoadImageFromFile", "LoadAnnotations", "LoadProposals", "FilterAnnotations"),
    **_at("raydet.transforms.sources", "LoadImageFromWebcam", "LoadMultiChannelImageFromFiles"),
    **_at("raydet.transforms.panoptic", "LoadPanopticAnnotations"),
    **_at("raydet.transforms.resize", "Resize", "SegRescale"),
    **_at("raydet.transforms.flip", "RandomFlip"),
    **_at("raydet.transforms.crop", "RandomCrop"),
    **_at("raydet.transforms.min_iou_crop", "MinIoURandomCrop"),
    **_at("raydet.transforms.center_crop", "RandomCenterCropPad"),
    **_at("raydet.transforms.expand", "Expand"),
    **_at("raydet.transforms.shift", "RandomShift"),
    **_at("raydet.transforms.cutout", "CutOut"),
    **_at("raydet.transforms.random_affine", "RandomAffine"),
    **_at("raydet.transforms.affine", "Shear", "Translate", "Rotate"),
    **_at("raydet.transforms.normalize", "Normalize"),
    **_at("raydet.transforms.pad", "Pad"),
    **_at("raydet.transforms.color", "PhotoMetricDistortion", "YOLOXHSVRandomAug"),
    **_at(
        "raydet.transforms.enhance", "ColorTransform", "BrightnessTransform", "ContrastTransform", "EqualizeTransform"
    ),
    **_at("raydet.transforms.auto_augment", "AutoAugment"),
    **_at("raydet.transforms.mosaic", "Mosaic"),
    **_at("raydet.transforms.mixup", "MixUp"),
    **_at("raydet.transforms.copy_paste", "CopyPaste"),
    **_at("raydet.transforms.albu", "Albu"),
    **_at("raydet.transforms.instaboost", "InstaBoost"),
    **_at("raydet.transforms.corrupt", "Corrupt"),
    **_at(
        "raydet.transforms.formatting",
        "ToTensor",
        "ImageToTensor",
        "Transpose",
        "ToDataContainer",
        "DefaultFormatBundle",
        "Collect",
        "WrapFieldsToLists",
    ),
    **_at("raydet.transforms.test_time", "MultiScaleFlipAug"),
}

HOOKS = {
    **_at("raydet.search.reporting", "SweepReportHook"),
    **_at("raydet.search.renewal", "RenewOptimizerHook"),
    **_at("raydet.engine.hooks.checkpoint", "CheckpointHook"),
    **_at("raydet.engine.hooks.evaluation", "EvalHook", "DistEvalHook"),
    **_at(
        "raydet.engine.hooks.optimizer",
        "OptimizerHook",
        "GradientCumulativeOptimizerHook",
        "Fp16OptimizerHook",
        "GradientCumulativeFp16OptimizerHook",
    ),
    **_at("raydet.engine.hooks.checks", "CheckInvalidLossHook", "NumClassCheckHook"),
    **_at("raydet.engine.hooks.timing", "IterTimerHook"),
    **_at("raydet.engine.hooks.sampler_seed", "DistSamplerSeedHook"),
    **_at("raydet.engine.hooks.text_logger", "TextLoggerHook"),
    **_at("raydet.engine.hooks.tensorboard", "TensorboardLoggerHook"),
    **_at("raydet.engine.hooks.wandb", "WandbLoggerHook", "MMDetWandbHook"),
    **_at(
        "raydet.engine.hooks.trackers",
        "MlflowLoggerHook",
        "NeptuneLoggerHook",
        "ClearMLLoggerHook",
        "DvcliveLoggerHook",
        "SegmindLoggerHook",
        "PaviLoggerHook",
    ),
    **_at("raydet.engine.hooks.simple", "ClosureHook", "EmptyCacheHook", "SetEpochInfoHook"),
    **_at("raydet.engine.hooks.yolox", "YOLOXModeSwitchHook", "SyncRandomSizeHook"),
    **_at("raydet.engine.hooks.synchronisation", "SyncNormHook", "SyncBuffersHook"),
    **_at("raydet.engine.hooks.memory", "MemoryProfilerHook"),
    **_at("raydet.engine.hooks.profiler", "ProfilerHook"),
    **_at("raydet.engine.hooks.ema", "EMAHook", "ExpMomentumEMAHook", "LinearMomentumEMAHook"),
    **_at("raydet.engine.hooks.rf_search", "RFSearchHook"),
    **_at(
        "raydet.engine.hooks.lr",
        "FixedLrUpdaterHook",
        "StepLrUpdaterHook",
        "ExpLrUpdaterHook",
        "PolyLrUpdaterHook",
        "InvLrUpdaterHook",
        "CosineAnnealingLrUpdaterHook",
        "FlatCosineAnnealingLrUpdaterHook",
        "CosineRestartLrUpdaterHook",
        "LinearAnnealingLrUpdaterHook",
        "YOLOXLrUpdaterHook",
    ),
    **_at(
        "raydet.engine.hooks.cyclic",
        "CyclicLrUpdaterHook",
        "CyclicMomentumUpdaterHook",
        "OneCycleLrUpdaterHook",
        "OneCycleMomentumUpdaterHook",
    ),
    **_at(
        "raydet.engine.hooks.momentum",
        "StepMomentumUpdaterHook",
        "CosineAnnealingMomentumUpdaterHook",
        "LinearAnnealingMomentumUpdaterHook",
    ),
}
RUNNERS = _at("raydet.engine.runner", "EpochBasedRunner", "IterBasedRunner", Runner="EpochBasedRunner")
RUNNER_BUILDERS = _at("raydet.engine.runner_constructor", "DefaultRunnerConstructor")
OPTIMIZERS = _at(
    "torch.optim",
    "ASGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "Adafactor",
    "Muon",
)
OPTIMIZER_BUILDERS = {
    **_at("raydet.engine.optimizers", "DefaultOptimizerConstructor"),
    **_at("raydet.engine.layer_decay", "LearningRateDecayOptimizerConstructor"),
}

LAYERS = {
    # convolutions
    **_at("torch.nn", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "ConvTranspose3d", Conv="Conv2d"),
    **_at("torch.nn", deconv="ConvTranspose2d", deconv3d="ConvTranspose3d"),
    **_at("raydet.layers.conv_variants", "Conv2dAdaptivePadding", ConvWS="ConvWS2d"),
    **_at("raydet.layers.normed", "NormedConv2d", "NormedLinear"),
    **_at("raydet.layers.switchable_conv", ConvAWS="ConvAWS2d", SAC="SAConv2d"),
    **_at("raydet_ops", DCN="DeformConv2dPack", DCNv2="ModulatedDeformConv2dPack"),
    # normalisation
    **_at("torch.nn", BN="BatchNorm2d", BN1d="BatchNorm1d", BN2d="BatchNorm2d", BN3d="BatchNorm3d"),
    **_at("torch.nn", GN="GroupNorm", LN="LayerNorm", IN="InstanceNorm2d"),
    **_at("torch.nn", IN1d="InstanceNorm1d", IN2d="InstanceNorm2d", IN3d="InstanceNorm3d"),
    **_at("raydet.layers.layer_norm", LN2d="LayerNorm2d"),
    **_at("raydet.layers.sync_bn", SyncBN="SyncBatchNorm", MMSyncBN="MMSyncBatchNorm"),
    # activations
    **_at("torch.nn", "ReLU", "LeakyReLU", "PReLU", "RReLU", "ReLU6", "ELU", "Sigmoid", "Tanh", "GELU", "SiLU"),
    **_at("torch.nn", HSwish="Hardswish"),
    **_at("raydet.layers.activations", "Clamp", "HSigmoid", "Swish", Clip="Clamp"),
    # padding, upsampling, dropout, linear
    **_at("torch.nn", zero="ZeroPad2d", reflect="ReflectionPad2d", replicate="ReplicationPad2d", Linear="Linear"),
    **_at("torch.nn", nearest="Upsample", bilinear="Upsample"),
    **_at("raydet.layers.upsample", pixel_shuffle="PixelShufflePack"),
    **_at("raydet_ops", carafe="CARAFEPack"),
    **_at("raydet.layers.drop", "Dropout", "DropPath"),
    # blocks that configs name
    **_at("raydet.layers.conv_module", "ConvModule"),
    **_at("raydet.layers.criss_cross", "CrissCrossAttention"),
    **_at("raydet.layers.context_block", "ContextBlock"),
    **_at("raydet.layers.non_local", "NonLocal2d"),
    **_at("raydet.layers.generalized_attention", "GeneralizedAttention"),
    **_at("raydet.layers.drop_block", "DropBlock"),
    # attention
    **_at("raydet.layers.attention", "MultiheadAttention", "FFN"),
    **_at("raydet.layers.position_encoding", "SinePositionalEncoding", "LearnedPositionalEncoding"),
    **_at("raydet.layers.transformer_layer", "BaseTransformerLayer", "TransformerLayerSequence"),
    **_at("raydet.layers.detr_layers", "DetrTransformerEncoder", "DetrTransformerDecoder"),
    **_at("raydet.layers.detr_layers", "DetrTransformerDecoderLayer"),
    **_at("raydet_ops", "MultiScaleDeformableAttention"),
    # pooling of regions
    **_at("raydet_ops", "RoIAlign", "RoIPool", "SimpleRoIAlign", "PrRoIPool"),
    **_at("raydet_ops", "DeformRoIPool", "DeformRoIPoolPack", "ModulatedDeformRoIPoolPack"),
}
INITIALIZERS = {
    **_at(
        "raydet.layers.initializers",
        "Constant",
        "Xavier",
        "Normal",
        "TruncNormal",
        "Uniform",
        "Kaiming",
        "Caffe2Xavier",
    ),
    **_at("raydet.checkpoint.pretrained", "Pretrained"),
}
# Data sets find their metric by name, since evaluation stands below them.
METRICS = {
    **_at("raydet.evaluation.coco", coco="evaluate_coco"),
    **_at("raydet.evaluation.voc", voc="evaluate_voc"),
    **_at("raydet.evaluation.lvis", lvis="evaluate_lvis"),
    **_at("raydet.evaluation.open_images", open_images="evaluate_open_images"),
    **_at("raydet.evaluation.cityscapes", cityscapes="evaluate_cityscapes"),
    **_at("raydet.evaluation.panoptic", panoptic="evaluate_panoptic"),
    **_at("raydet.evaluation.occluded", occluded="evaluate_occluded_separated"),
}
