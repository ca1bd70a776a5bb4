# Heads of two stages that propose; alone, and with weights for what learns beside a RoI head.
# A config takes what it needs: model = dict(rpn_head={{ _base_.cascade_rpn.alone }})


def stage(box_weight, deviations, others):
    return dict(
        type='StageCascadeRPNHead',
        in_channels=256,
        feat_channels=256,
        reg_decoded_bbox=True,
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=(0.0, 0.0, 0.0, 0.0), target_stds=deviations),
        loss_bbox=dict(type='IoULoss', linear=True, loss_weight=box_weight),
        **others)


def head(class_weight, box_weight):
    first = dict(
        anchor_generator=dict(
            type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[4, 8, 16, 32, 64]),
        adapt_cfg=dict(type='dilation', dilation=3),
        bridged_feature=True,
        sampling=False,
        with_cls=False)
    second = dict(
        adapt_cfg=dict(type='offset'),
        bridged_feature=False,
        sampling=True,
        with_cls=True,
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=class_weight))
    return dict(
        _delete_=True,
        type='CascadeRPNHead',
        num_stages=2,
        stages=[
            stage(box_weight, (0.1, 0.1, 0.5, 0.5), first),
            stage(box_weight, (0.05, 0.05, 0.1, 0.1), second),
        ])


def training(parts):
    return dict(allowed_border=-1, pos_weight=-1, debug=False, **parts)


sampler = dict(
    type='RandomSampler', num=256, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=False)
cascade_rpn = dict(
    alone=head(1.0, 10.0),
    with_roi_head=head(0.7, 7.0),
    train_cfg=[
        training(dict(assigner=dict(type='RegionAssigner', center_ratio=0.2, ignore_ratio=0.5))),
        training(
            dict(
                assigner=dict(
                    type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.7, min_pos_iou=0.3, ignore_iof_thr=-1),
                sampler=sampler)),
    ])
