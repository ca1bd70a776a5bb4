_base_ = [
    '../_base_/models/one_anchor_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='TOOD',
    bbox_head=dict(
        type='TOODHead',
        stacked_convs=6,
        anchor_type='anchor_free',
        initial_loss_cls=dict(
            type='FocalLoss', use_sigmoid=True, activated=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_cls=dict(
            _delete_=True, type='QualityFocalLoss', use_sigmoid=True, activated=True, beta=2.0, loss_weight=1.0)),
    train_cfg=dict(
        initial_epoch=4,
        initial_assigner=dict(type='ATSSAssigner', topk=9),
        assigner=dict(type='TaskAlignedAssigner', topk=13),
        alpha=1,
        beta=6))
optimizer = dict(lr=0.01)
custom_hooks = [dict(type='SetEpochInfoHook')]
