_base_ = [
    '../_base_/models/one_anchor_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='DDOD',
    bbox_head=dict(
        type='DDODHead', loss_iou=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(alpha=0.8), reg_assigner=dict(type='ATSSAssigner', topk=9, alpha=0.5)))
optimizer = dict(lr=0.01)
