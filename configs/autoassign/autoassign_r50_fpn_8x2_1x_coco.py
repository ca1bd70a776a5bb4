_base_ = [
    '../_base_/models/single_stage_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
    '../_base_/models/backbones.py',
    '../_base_/pipelines/caffe.py',
]
model = dict(
    type='AutoAssign',
    backbone={{ _base_.backbones.resnet50_caffe }},
    neck=dict(
        add_extra_convs=True,
        relu_before_extra_convs=True,
        init_cfg=dict(type='Caffe2Xavier', layer='Conv2d')),
    bbox_head=dict(
        type='AutoAssignHead',
        num_classes=80,
        in_channels=256,
        stacked_convs=4,
        feat_channels=256,
        strides=[8, 16, 32, 64, 128],
        loss_bbox=dict(type='GIoULoss', loss_weight=5.0)),
    train_cfg=None)
data = dict(
    train=dict(pipeline={{ _base_.detectron.box_train }}),
    val=dict(pipeline={{ _base_.detectron.test }}),
    test=dict(pipeline={{ _base_.detectron.test }}))
optimizer = dict(lr=0.01, paramwise_cfg=dict(norm_decay_mult=0.0))
lr_config = dict(warmup_iters=1000, warmup_ratio=1.0 / 1000)
