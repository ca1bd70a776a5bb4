"""A small instance of every registered dense head, for the contract that all of them keep."""

from __future__ import annotations

from typing import Any

SIZES = ((8, 12), (4, 6))
STRIDES = [8, 16]
ASSIGNER = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0}
ASCEND = {**ASSIGNER, "type": "AscendMaxIoUAssigner"}
TEST = {"nms_pre": 20, "score_thr": 0.0, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10}
ATSS = {"type": "ATSSAssigner", "topk": 3}
NORM = {"type": "GN", "num_groups": 2}
QUALITY = {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0}


def head(**settings: Any) -> dict[str, Any]:
    """What all heads take."""
    return {"in_channels": 8, "feat_channels": 8, "train_cfg": {"assigner": ASSIGNER}, "test_cfg": TEST, **settings}


def anchor_head(**settings: Any) -> dict[str, Any]:
    """Heads with several anchors per cell."""
    anchors = {"type": "AnchorGenerator", "scales": [4], "ratios": [0.5, 1.0], "strides": STRIDES}
    return head(anchor_generator=anchors, **settings)


def single_anchor_head(**settings: Any) -> dict[str, Any]:
    """Heads with one square anchor per cell, assigned by ATSS."""
    anchors = {"type": "AnchorGenerator", "octave_base_scale": 4, "scales_per_octave": 1, "ratios": [1.0]}
    shared = {"num_classes": 3, "stacked_convs": 1, "norm_cfg": NORM, "train_cfg": {"assigner": ATSS}}
    return head(**{"anchor_generator": {**anchors, "strides": STRIDES}, **shared, **settings})


APPROXIMATIONS = {"octave_base_scale": 4, "scales_per_octave": 2, "ratios": [0.5, 1.0], "strides": STRIDES}
SQUARES = {
    "approx_anchor_generator": {"type": "AnchorGenerator", **APPROXIMATIONS},
    "square_anchor_generator": {"type": "AnchorGenerator", "ratios": [1.0], "scales": [4], "strides": STRIDES},
}


def guided_head(**settings: Any) -> dict[str, Any]:
    """Heads with guided anchors."""
    train = {
        "assigner": ASSIGNER,
        "ga_assigner": {**ASSIGNER, "type": "ApproxMaxIoUAssigner"},
        "center_ratio": 0.2,
        "ignore_ratio": 0.5,
    }
    return head(**{**SQUARES, "loc_filter_thr": 0.0, "deform_groups": 2, "train_cfg": train, **settings})


GIOU = {"type": "GIoULoss", "loss_weight": 2.0}
SSD = {
    "num_classes": 3,
    "in_channels": (8, 8),
    "anchor_generator": {
        "type": "SSDAnchorGenerator",
        "scale_major": False,
        "strides": STRIDES,
        "ratios": [[2], [2, 3]],
        "min_sizes": [16, 32],
        "max_sizes": [32, 60],
    },
    "train_cfg": {"assigner": ASSIGNER, "neg_pos_ratio": 3, "smoothl1_beta": 1.0},
    "test_cfg": TEST,
}
PAA = {"loss_bbox": GIOU, "train_cfg": {"assigner": {**ASSIGNER, "pos_iou_thr": 0.1, "neg_iou_thr": 0.1}}}
VFNET = {
    "loss_bbox": GIOU,
    "loss_cls": {"type": "VarifocalLoss"},
    "anchor_generator": {
        "type": "AnchorGenerator",
        "octave_base_scale": 4,
        "scales_per_octave": 1,
        "ratios": [1.0],
        "center_offset": 0.0,
        "strides": STRIDES,
    },
}
TOOD = {
    "assigner": {"type": "TaskAlignedAssigner", "topk": 5},
    "initial_assigner": ATSS,
    "initial_epoch": 4,
    "alpha": 1,
    "beta": 6,
}
PLAIN: dict[str, dict[str, Any]] = {
    "AnchorHead": anchor_head(num_classes=3),
    "RPNHead": anchor_head(),
    "RetinaHead": anchor_head(num_classes=3, stacked_convs=1),
}
"""Heads whose classification and box losses may be exchanged for any others."""

HEADS: dict[str, dict[str, Any]] = {
    **PLAIN,
    "FreeAnchorRetinaHead": anchor_head(num_classes=3, stacked_convs=1, pre_anchor_topk=5),
    "PISARetinaHead": anchor_head(
        num_classes=3,
        stacked_convs=1,
        train_cfg={"assigner": ASSIGNER, "isr": {"k": 2.0, "bias": 0.0}, "carl": {"k": 1, "bias": 0.2}},
    ),
    "FoveaHead": head(
        num_classes=3,
        stacked_convs=1,
        strides=STRIDES,
        base_edge_list=(16, 32),
        scale_ranges=((8, 48), (40, 200)),
        with_deform=True,
        deform_groups=2,
        loss_bbox={"type": "SmoothL1Loss"},
    ),
    "RepPointsHead": head(
        num_classes=3,
        stacked_convs=1,
        point_feat_channels=8,
        point_strides=STRIDES,
        train_cfg={
            "init": {"assigner": {"type": "PointAssigner", "scale": 4, "pos_num": 1}},
            "refine": {"assigner": ASSIGNER},
        },
    ),
    "GuidedAnchorHead": guided_head(num_classes=3),
    "GARetinaHead": guided_head(num_classes=3, stacked_convs=1, loss_cls={"type": "FocalLoss", "use_sigmoid": True}),
    "GARPNHead": guided_head(),
    "StageCascadeRPNHead": head(
        anchor_generator={"type": "AnchorGenerator", "scales": [4], "ratios": [1.0], "strides": STRIDES},
        adapt_cfg={"type": "offset"},
    ),
    "SABLRetinaHead": head(
        **SQUARES,
        num_classes=3,
        stacked_convs=1,
        train_cfg={"assigner": {**ASSIGNER, "type": "ApproxMaxIoUAssigner"}},
    ),
    "AscendAnchorHead": anchor_head(num_classes=3, train_cfg={"assigner": ASCEND}),
    "AscendRetinaHead": anchor_head(num_classes=3, stacked_convs=1, train_cfg={"assigner": ASCEND}),
    "FSAFHead": single_anchor_head(
        train_cfg={"assigner": {"type": "CenterRegionAssigner", "pos_scale": 0.3, "neg_scale": 0.6}},
        reg_decoded_bbox=True,
        bbox_coder={"type": "TBLRBBoxCoder"},
        loss_bbox={"type": "IoULoss", "eps": 1e-6},
        loss_cls={"type": "FocalLoss", "use_sigmoid": True},
    ),
    "ATSSHead": single_anchor_head(loss_bbox=GIOU),
    **dict.fromkeys(("PAAHead", "LADHead"), single_anchor_head(**PAA)),
    "VFNetHead": single_anchor_head(regress_ranges=((-1, 48), (48, 1e8)), strides=STRIDES, **VFNET),
    "DDODHead": single_anchor_head(
        loss_bbox=GIOU, train_cfg={"assigner": {**ATSS, "alpha": 0.8}, "reg_assigner": {**ATSS, "alpha": 0.5}}
    ),
    "TOODHead": single_anchor_head(loss_bbox=GIOU, loss_cls={**QUALITY, "activated": True}, train_cfg=TOOD),
    **dict.fromkeys(
        ("FCOSHead", "NASFCOSHead"),
        head(num_classes=3, stacked_convs=1, norm_cfg=NORM, strides=STRIDES, regress_ranges=((-1, 48), (48, 1e8))),
    ),
    "AutoAssignHead": head(num_classes=3, stacked_convs=1, norm_cfg=NORM, strides=STRIDES, loss_bbox=GIOU),
    "LDHead": single_anchor_head(loss_cls=QUALITY, loss_bbox=GIOU, loss_ld={"type": "KnowledgeDistillationKLDivLoss"}),
    "GFLHead": single_anchor_head(loss_cls=QUALITY, loss_bbox=GIOU),
    "YOLOXHead": head(
        num_classes=3,
        stacked_convs=1,
        strides=STRIDES,
        norm_cfg=NORM,
        train_cfg={"assigner": {"type": "SimOTAAssigner"}},
        test_cfg={"score_thr": 0.0, "nms": TEST["nms"], "max_per_img": 10},
    ),
    "YOLOV3Head": {
        "num_classes": 3,
        "in_channels": (8, 8),
        "out_channels": (8, 8),
        "anchor_generator": {
            "type": "YOLOAnchorGenerator",
            "strides": STRIDES,
            "base_sizes": [[(12, 8), (30, 20)], [(30, 30), (60, 40)]],
        },
        "featmap_strides": STRIDES,
        "norm_cfg": NORM,
        "train_cfg": {"assigner": {"type": "GridAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5}},
        "test_cfg": TEST,
    },
    "SSDHead": SSD,
    "AscendSSDHead": {**SSD, "train_cfg": {**SSD["train_cfg"], "assigner": ASCEND}},
    "PISASSDHead": {
        **SSD,
        "train_cfg": {**SSD["train_cfg"], "isr": {"k": 2.0, "bias": 0.0}, "carl": {"k": 1, "bias": 0.2}},
    },
    "YOLOFHead": anchor_head(
        num_classes=3,
        num_cls_convs=1,
        num_reg_convs=1,
        norm_cfg=NORM,
        reg_decoded_bbox=True,
        loss_bbox={"type": "GIoULoss"},
        train_cfg={"assigner": {"type": "UniformAssigner", "pos_ignore_thr": 0.15, "neg_ignore_thr": 0.7}},
    ),
    "RetinaSepBNHead": anchor_head(num_classes=3, num_ins=2, stacked_convs=1, norm_cfg=NORM),
    "YOLACTHead": anchor_head(
        num_classes=3,
        num_protos=4,
        test_cfg={"nms_pre": 20, "score_thr": 0.0, "iou_thr": 0.5, "top_k": 20, "max_per_img": 10},
    ),
}
