# Heads that learn where anchors stand and how large they are, and what they learn from.
# A config takes both: model = dict(rpn_head={{ _base_.guided_anchoring.rpn.head }}, train_cfg=dict(rpn=...))


def coder(stds):
    return dict(type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=stds)


def head(scale, strides, own):
    return dict(
        _delete_=True,
        in_channels=256,
        feat_channels=256,
        approx_anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=scale,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=strides),
        square_anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[scale], strides=strides),
        loc_filter_thr=0.01,
        loss_loc=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_shape=dict(type='BoundedIoULoss', beta=0.2, loss_weight=1.0),
        **own)


def train_cfg(pos_iou_thr, neg_iou_thr, min_pos_iou, own):
    return dict(
        ga_assigner=dict(
            type='ApproxMaxIoUAssigner',
            pos_iou_thr=pos_iou_thr,
            neg_iou_thr=neg_iou_thr,
            min_pos_iou=min_pos_iou,
            ignore_iof_thr=-1),
        ga_sampler=dict(
            type='RandomSampler', num=256, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False),
        center_ratio=0.2,
        ignore_ratio=0.5,
        **own)


guided_anchoring = dict(
    rpn=dict(
        head=head(
            8, [4, 8, 16, 32, 64],
            dict(
                type='GARPNHead',
                anchor_coder=coder([0.07, 0.07, 0.14, 0.14]),
                bbox_coder=coder([0.07, 0.07, 0.11, 0.11]),
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
                loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0))),
        train_cfg=train_cfg(0.7, 0.3, 0.3, dict(allowed_border=-1))),
    retina=dict(
        head=head(
            4, [8, 16, 32, 64, 128],
            dict(
                type='GARetinaHead',
                num_classes=80,
                stacked_convs=4,
                anchor_coder=coder([1.0, 1.0, 1.0, 1.0]),
                bbox_coder=coder([1.0, 1.0, 1.0, 1.0]),
                loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
                loss_bbox=dict(type='SmoothL1Loss', beta=0.04, loss_weight=1.0))),
        train_cfg=train_cfg(0.5, 0.4, 0.4, dict(assigner=dict(neg_iou_thr=0.5, min_pos_iou=0.0)))))
