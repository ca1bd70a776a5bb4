_base_ = [
    '../_base_/models/one_anchor_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ATSS',
    bbox_head=dict(
        type='ATSSHead',
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)))
optimizer = dict(lr=0.01)
